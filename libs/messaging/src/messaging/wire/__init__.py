"""What travels between relay and consumers: messages, receipts, and where they lie in Redis."""
