"""What the notifier does with events: plain functions of plain data."""

from datetime import datetime

from notifier.mail import Address, compose
from notifier.senders import Sender


def send_email(  # noqa: PLR0913  # plain data, one argument for each
    template: str, email: str, full_name: str, *, key: str, sent: datetime, sender: Sender, mail_from: Address
) -> str | None:
    """Send a user the mail of a template; return the server's reference, if it gives one.

    `key` is the same whenever this event is handled, so a repeated mail is recognised. `sent`: the mail's date.
    Raises one of `notifier.errors`, which says whether the mail may have been sent.
    """
    recipient = Address.recipient(full_name, email)
    mail = compose(template, sender=mail_from, recipient=recipient, key=key, date=sent, full_name=full_name)
    return sender.send(mail)
