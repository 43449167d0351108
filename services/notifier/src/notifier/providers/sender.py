"""The base of a sender over a provider's HTTP API.

The boundary: a request without a connection wasn't sent, and a clear refusal is one. A request that was sent and not
answered, and a 5xx without a clear word, leave open whether the provider has the mail: that is MailUncertain. Reported
as deferred, the mail would be sent twice unasked.
"""

import json
import random
from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import ClassVar

from messaging.privacy import Hidden
from notifier.errors import MailDeferred, MailRefused, MailUncertain, SendingRefused, ServerAway, Throttled
from notifier.http import Client, NoAnswer, NotSent
from notifier.mail import Mail
from notifier.providers.reply import Kind, Reply, by_status
from notifier.providers.url import parse
from notifier.refusals import Refusals

LEAST_WAIT, MOST_WAIT = 5.0, 3600.0
"""Seconds within which a provider's Retry-After is believed. Attempts are limited: in a long backlog, shorter waits
would use them up."""

_REMEDIES: dict[Kind, str] = {
    SendingRefused: " (not about this mail: see MAIL_URL, MAIL_FROM and the account at the provider)",
    MailUncertain: " (that doesn't say whether the mail was accepted)",
}


class ApiSender(ABC):
    """Sends mails over a provider's API; threads may share it. It opens no connection before the first mail.

    A provider says how to write its MAIL_URL (`example`, and the names of more `options`), which request sends a mail,
    and what an answer means.
    """

    example: ClassVar[str]
    options: ClassVar[tuple[str, ...]] = ()

    def __init__(self, url: str, *, timeout: float) -> None:
        self.endpoint = parse(url, self.example, self.options)
        self._client = Client(timeout=timeout)
        self._refusals = Refusals()

    @abstractmethod
    def request(self, mail: Mail) -> tuple[str, bytes, Mapping[str, str]]:
        """Return the path, body and headers of the request that sends a mail; MailRefused, if none can."""

    @abstractmethod
    def reference(self, reply: Reply) -> object:
        """Return the provider's id of an accepted mail; what isn't a text is ignored."""

    @abstractmethod
    def words(self, reply: Reply) -> str:
        """Return what an answer says to people."""

    def verdict(self, reply: Reply, words: str) -> Kind | None:
        """Return the error that an answer stands for; None: accepted. `words`: without what the recipient chose."""
        return by_status(reply.status)

    def wait(self, reply: Reply) -> float | None:
        """Return the seconds after which the provider wants to be asked again; None, if it doesn't say."""
        return reply.retry_after

    def send(self, mail: Mail) -> str | None:
        """Send one mail; return only after the provider's acceptance. See `notifier.senders.Sender`."""
        with self._refusals.counted():
            path, content, headers = self.request(mail)
            try:
                reply = Reply.of(self._client.post(f"{self.endpoint.origin}{path}", content, headers))
            except NotSent as error:
                remedy = "check host and port in MAIL_URL; SSL_CERT_FILE names a private authority"
                raise ServerAway(f"{error}: {remedy}") from None
            except NoAnswer as error:
                raise MailUncertain(str(error)) from None
            if failure := self._failure(reply, mail):
                raise failure
            reference = self.reference(reply)
            return reference if reference and isinstance(reference, str) else None

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def _failure(self, reply: Reply, mail: Mail) -> MailRefused | MailDeferred | MailUncertain | None:
        recipient, login = mail.recipient, self.endpoint
        secrets = (login.user, login.password, login.options.get("session_token", ""))
        hidden = Hidden((recipient.name, *recipient.email.split("@")), secrets)
        words = self.words(reply)
        kind = self.verdict(reply, hidden.names_out_of(words))
        if kind is None:
            return None
        message = f"{reply.status} {hidden.out_of(words)}".rstrip() + _REMEDIES.get(kind, "")
        if kind is ServerAway and (wait := self.wait(reply)) is not None:
            wait = max(LEAST_WAIT, min(wait, MOST_WAIT))
            return Throttled(message, wait * random.uniform(1, 1.5))  # noqa: S311  # mails don't come back all at once
        return kind(message)


def json_body(fields: Mapping[str, object]) -> tuple[bytes, dict[str, str]]:
    """Return a request's body in JSON without its empty fields, and the headers that go with it."""
    content = json.dumps({name: value for name, value in fields.items() if value})
    return content.encode(), {"Content-Type": "application/json", "Accept": "application/json"}
