"""A provider's answer, and what a status alone says about a mail."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from notifier.errors import MailDeferred, MailRefused, MailUncertain, SendingRefused, ServerAway
from notifier.http import Answer

Kind = type[MailRefused] | type[MailDeferred] | type[MailUncertain]
"""A class of `notifier.errors`: what became of a mail that wasn't accepted."""


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer. `body`: the JSON object in it; empty, if there is none. `retry_after`: seconds, if it says so."""

    status: int
    headers: Mapping[str, str]
    body: Mapping[str, Any]
    retry_after: float | None

    @classmethod
    def of(cls, answer: Answer) -> "Reply":
        """Read an answer. A body that isn't a JSON object says nothing."""
        try:
            body = json.loads(answer.body)
        except (ValueError, RecursionError):
            body = None
        return cls(answer.status, answer.headers, body if isinstance(body, dict) else {}, answer.retry_after)

    def text(self, name: str) -> str:
        """Return a text of the body; empty, if there is none of this name."""
        value = self.body.get(name)
        return value if isinstance(value, str) else ""


def by_status(status: int) -> Kind | None:
    """Return what a status alone says; None: the mail was accepted.

    A 4xx that isn't about the request's size is taken as the settings' fault: a wrong key, host or path fails no mail.
    """
    match status:
        case 429:
            return ServerAway
        case 408:
            return MailDeferred
        case 413:
            return MailRefused
        case _ if 200 <= status < 300:  # noqa: PLR2004
            return None
        case _ if status >= 500:  # noqa: PLR2004
            return MailUncertain
        case _:
            return SendingRefused
