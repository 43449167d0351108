"""What the notifier does with events. Plain functions: no Dramatiq here, and no connection held while mailing."""

from collections.abc import Iterator, Sequence
from typing import cast

from contracts import UserRegistered
from messaging import Delivery, Settled
from notifier.attempt import Attempt
from notifier.email import Mail, compose_welcome
from notifier.ledger import Ledger
from notifier.smtp import Mailer

WELCOME = "welcome_email"


def send_welcome_emails(
    deliveries: Sequence[Delivery], *, ledger: Ledger, mailer: Mailer, sender: str
) -> Iterator[Settled]:
    """Send the welcome emails of registrations, each once: claim, send, record.

    Yields each with what became of it: None, when its mail is sent and recorded, now or by an earlier attempt;
    otherwise an error of `notifier.errors` or `messaging`.
    """

    def compose(delivery: Delivery) -> Mail:
        event = delivery.event
        user = cast(UserRegistered, event.data)
        return compose_welcome(
            event_id=event.id, email=user.email, full_name=user.full_name, sender=sender, sent=event.time
        )

    return Attempt(WELCOME, deliveries, compose, ledger=ledger, mailer=mailer).outcomes()
