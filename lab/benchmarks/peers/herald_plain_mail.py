"""Herald's notifier, but for the mail: built and sent as its peers do. `dramatiq herald_plain_mail`."""

from typing import NamedTuple

import job

from notifier import handlers
from notifier.smtp import Mailer


class PlainMail(NamedTuple):
    """What the peers' way needs."""

    email: str
    full_name: str


def compose(*, email: str, full_name: str, **_: object) -> PlainMail:
    """Put off composing until the mail is sent."""
    return PlainMail(email, full_name)


def send(_mailer: Mailer, mail: PlainMail, **_: object) -> None:
    """Build and send, over a new connection."""
    job.send_welcome(mail.email, mail.full_name)


handlers.compose_welcome = compose
Mailer.send = send

from notifier.worker import *  # noqa: E402, F403  # only now: what it imports is changed
