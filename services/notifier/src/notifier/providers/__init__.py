"""What the senders over a provider's HTTP API share: MAIL_URL, one request for a mail, and what the answer means."""
