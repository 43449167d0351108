"""Stand-ins for mail providers' HTTP APIs, for tests and faults.

Each checks requests as its provider's documentation states them, by code of its own, and keeps what it accepted.
"""

from collections.abc import Callable

from chaos.providers.exchange import Provider
from chaos.providers.mailgun import Mailgun
from chaos.providers.postmark import Postmark
from chaos.providers.sendgrid import SendGrid
from chaos.providers.ses import Ses
from chaos.providers.standin import Mood, StandIn

PROVIDERS: dict[str, Callable[[], Provider]] = {
    "mailgun": Mailgun,
    "postmark": Postmark,
    "sendgrid": SendGrid,
    "ses": Ses,
}

__all__ = ["PROVIDERS", "Mailgun", "Mood", "Postmark", "SendGrid", "Ses", "StandIn"]
