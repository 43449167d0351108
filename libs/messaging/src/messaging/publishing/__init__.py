"""What a publishing service uses: the outbox, and the statements by which operators list and move deliveries."""
