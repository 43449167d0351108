"""The notifier: sends the welcome email."""
