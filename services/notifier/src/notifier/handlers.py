"""What the notifier does with events: plain functions of plain data."""

from datetime import datetime

from notifier.mail import Address, compose
from notifier.senders import Sender


def send_welcome_email(  # noqa: PLR0913  # plain data, one argument for each
    email: str, full_name: str, *, key: str, sent: datetime, sender: Sender, mail_from: Address
) -> str | None:
    """Send the welcome email of one registration; return the server's reference, if it gives one.

    `key` and `sent`, the event's time, are the same whenever this event is handled, so a repeated mail is recognised.
    Raises one of `notifier.errors`, which says whether the mail may have been sent.
    """
    recipient = Address.recipient(full_name, email)
    mail = compose("welcome", sender=mail_from, recipient=recipient, key=key, date=sent, full_name=full_name)
    return sender.send(mail)
