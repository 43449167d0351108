"""`notifier send-test`: one mail by the configured provider, and what it answers."""

import sys
from datetime import UTC, datetime
from uuid import uuid4

from messaging.errors import UncertainError
from messaging.process.settings import load_or_exit
from notifier.errors import MailDeferred, MailRefused, MailUncertain
from notifier.mail import Address, compose
from notifier.senders import open_sender
from notifier.settings import MailSettings


def send(full_name: str, email: str) -> None:
    """Send the welcome email to an address, and print the answer. Ends the process with status 1 if it isn't accepted.

    Nothing records this mail, so a registration's mail to the same address is sent as ever.
    """
    config = load_or_exit(MailSettings)
    sender = open_sender(config.mail_url, timeout=config.mail_timeout)
    try:
        mail = compose(
            "welcome",
            sender=Address.sender(config.mail_from),
            recipient=Address.recipient(full_name, email),
            key=f"send_test.{uuid4()}",
            date=datetime.now(UTC),
            full_name=full_name,
        )
        reference = sender.send(mail)
    except (MailDeferred, MailRefused, MailUncertain) as error:
        outcome = "it is unknown whether it was accepted" if isinstance(error, UncertainError) else "not accepted"
        sys.exit(f"{outcome}: {error}\n{type(error).__name__}: {type(error).__doc__}")
    sys.stdout.write(f"accepted, {f'reference {reference}' if reference else 'without a reference'}\n")
