"""What travels between relay and consumers: messages, receipts, and their keys in Redis."""
