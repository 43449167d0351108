"""The ways to send a mail. MAIL_URL chooses: its scheme is the name of a module here.

A new way is one module with a class `Sender(url, timeout=seconds)`, which opens no connection until a mail is sent and
raises `MailUrlInvalid` for a URL that it can't use. An error must not repeat the URL. For a provider's HTTP API,
`notifier.providers` has what all of them share. Only the chosen module is imported.
"""

import pkgutil
from importlib import import_module
from typing import Protocol

from notifier.errors import MailUrlInvalid
from notifier.mail import Mail


class Sender(Protocol):
    """Sends mails; threads may share it."""

    def send(self, mail: Mail) -> str | None:
        """Send one mail within the timeout; return the server's reference, if any; raise one of `notifier.errors`."""


def open_sender(url: str, *, timeout: float) -> Sender:
    """Return the sender that a MAIL_URL asks for; MailUrlInvalid says how to write one."""
    scheme = url.partition(":")[0].lower()
    schemes = sorted(module.name for module in pkgutil.iter_modules(__path__))
    if scheme not in schemes:
        raise MailUrlInvalid(f"it must begin with one of {', '.join(f'{each}://' for each in schemes)}")
    sender: Sender = import_module(f"{__name__}.{scheme}").Sender(url, timeout=timeout)
    return sender
