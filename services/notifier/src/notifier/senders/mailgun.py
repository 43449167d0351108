"""Mailgun, `mailgun://API_KEY@api.mailgun.net/DOMAIN` (in the EU api.eu.mailgun.net).

https://documentation.mailgun.com/docs/mailgun/api-reference/send/mailgun/messages
"""

import re
from base64 import b64encode
from collections.abc import Mapping

import httpx

from notifier.errors import MailRefused, RecipientRefused, SendingRefused
from notifier.mail import Mail
from notifier.providers.mailbox import mailbox, one_line
from notifier.providers.reply import Kind, Reply, by_status
from notifier.providers.sender import ApiSender

_TO = re.compile(r"'to' parameter is not a valid address", re.IGNORECASE)
_OURS = re.compile(
    r"'from'|sender|domain|sandbox|account|authorized|activat|disabled|limit exceeded|test purposes|\bv:|\bh:|\bo:",
    re.IGNORECASE,
)
_BAD_REQUEST = 400


class Sender(ApiSender):
    """Sends mails over Mailgun."""

    example = "mailgun://API_KEY@api.mailgun.net/DOMAIN"

    def request(self, mail: Mail) -> tuple[str, bytes, Mapping[str, str]]:
        """Return `POST /v3/DOMAIN/messages`: a form, or one of several parts if there are attachments."""
        fields = {
            "from": mailbox(mail.sender),
            "to": mailbox(mail.recipient),
            "subject": one_line(mail.subject),
            "text": mail.text,
            "html": mail.html,
            "h:Message-Id": mail.message_id,
            **{f"h:{name}": value for name, value in mail.headers},
            "v:herald-key": mail.key,
        }
        files = [("attachment", (one_line(file.name), file.content, file.content_type)) for file in mail.attachments]
        path = f"/v3/{self.endpoint.path}/messages"
        form = httpx.Request("POST", self.endpoint.origin + path, data=fields, files=files)
        login = b64encode(f"api:{self.endpoint.user}".encode()).decode()
        return path, form.read(), {"Content-Type": form.headers["content-type"], "Authorization": f"Basic {login}"}

    def reference(self, reply: Reply) -> object:
        """Return the id, which is the Message-ID that Mailgun has used."""
        return reply.body.get("id")

    def words(self, reply: Reply) -> str:
        """Return the message."""
        return reply.text("message")

    def verdict(self, reply: Reply, words: str) -> Kind | None:
        """Decide by the words of a bad request; without any, it may be about everything."""
        if reply.status != _BAD_REQUEST or not words.strip():
            return by_status(reply.status)
        return RecipientRefused if _TO.search(words) else SendingRefused if _OURS.search(words) else MailRefused
