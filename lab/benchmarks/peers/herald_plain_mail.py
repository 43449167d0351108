"""Herald's notifier, but for the mail: built and sent as its peers do. `dramatiq herald_plain_mail`."""

from typing import NamedTuple

import job

from notifier import handlers
from notifier.mail import Address
from notifier.senders.smtp import Sender


class PlainMail(NamedTuple):
    """What the peers' way needs."""

    email: str
    full_name: str


def compose(_template: str, *, recipient: Address, full_name: str, **_: object) -> PlainMail:
    """Put off composing until the mail is sent."""
    return PlainMail(recipient.email, full_name)


def send(_sender: Sender, mail: PlainMail) -> None:
    """Build and send, over a new connection."""
    job.send_welcome(mail.email, mail.full_name)


handlers.compose = compose
Sender.send = send

from notifier.worker import *  # noqa: E402, F403  # only now: what it imports is changed
