"""The notifier: sends mails, and calls the webhook."""
