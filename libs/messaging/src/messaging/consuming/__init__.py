"""What a worker process runs: Dramatiq's broker, the consumer, and the shells around handlers."""
