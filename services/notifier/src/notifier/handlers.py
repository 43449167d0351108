"""What the notifier does with events. Plain functions: no Dramatiq here, and no connection held while mailing."""

from contracts import Event, UserRegistered
from messaging import RetryLater
from notifier.email import compose_welcome
from notifier.errors import MailDeferred, MailRefused, MailUncertain
from notifier.ledger import Ledger
from notifier.smtp import Mailer

WELCOME = "welcome_email"

MARGIN = 1.0
"""Seconds between the end of sending and the end of the claim."""


def send_welcome_email(
    event: Event[UserRegistered], generation: int, *, ledger: Ledger, mailer: Mailer, sender: str
) -> None:
    """Send the welcome email for a registration once: claim, send, record.

    `generation` counts how often an operator has asked for it again. Returns when the mail is sent and recorded,
    now or by an earlier attempt; otherwise raises what became of it (`notifier.errors`, `messaging.RetryLater`).
    """
    user = event.data
    mail = compose_welcome(
        event_id=str(event.id), email=user.email, full_name=user.full_name, sender=sender, sent=event.time
    )
    claim = ledger.claim(event.id, WELCOME, generation)
    if claim is None:
        return
    try:
        mailer.send(mail, within=claim.seconds_left - MARGIN)
    except (MailDeferred, MailRefused):
        ledger.release(claim)
        raise
    except MailUncertain as error:
        if not ledger.doubt(claim):
            raise
        raise RetryLater(f"{error} (sent again in a minute: NOTIFIER_UNCERTAIN=resend)", after=60) from error
    ledger.record(claim)
