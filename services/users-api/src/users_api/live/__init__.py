"""What changes, as it changes: `GET /live`. One poller for each process reads for all viewers."""
