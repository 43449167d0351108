"""Everything a laptop needs and production doesn't: servers, a mailbox, and every Herald process."""
