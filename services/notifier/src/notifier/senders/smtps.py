"""SMTP with TLS from the first byte."""

from notifier.senders.smtp import Sender

__all__ = ["Sender"]
