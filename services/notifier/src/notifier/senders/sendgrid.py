"""SendGrid, `sendgrid://API_KEY@api.sendgrid.com`: https://www.twilio.com/docs/sendgrid/api-reference/mail-send."""

import re
import time
from base64 import b64encode
from collections.abc import Mapping
from typing import Any

from notifier.errors import MailRefused, RecipientRefused, SendingRefused
from notifier.mail import Address, Mail
from notifier.providers.mailbox import one_line
from notifier.providers.reply import Kind, Reply, by_status
from notifier.providers.sender import ApiSender, json_body

_TO = re.compile(r"personalizations(\.\d+)?\.to(\.\d+)?(\.email)?")
_MAIL = re.compile(r"(personalizations|subject|content|attachments)\b.*")
_BAD_REQUEST = 400


class Sender(ApiSender):
    """Sends mails over SendGrid."""

    example = "sendgrid://API_KEY@api.sendgrid.com"

    def request(self, mail: Mail) -> tuple[str, bytes, Mapping[str, str]]:
        """Return `POST /v3/mail/send`."""
        content, types = json_body(
            {
                "personalizations": [{"to": [_address(mail.recipient)]}],
                "from": _address(mail.sender),
                "subject": one_line(mail.subject),
                "content": [{"type": "text/plain", "value": mail.text}, {"type": "text/html", "value": mail.html}],
                "headers": {**dict(mail.headers), "Message-ID": mail.message_id},
                "custom_args": {"herald_key": mail.key},
                "attachments": [
                    {
                        "content": b64encode(file.content).decode(),
                        "type": file.content_type,
                        "filename": one_line(file.name),
                        "disposition": "attachment",
                    }
                    for file in mail.attachments
                ],
            }
        )
        return "/v3/mail/send", content, {**types, "Authorization": f"Bearer {self.endpoint.user}"}

    def reference(self, reply: Reply) -> object:
        """Return X-Message-Id, with which SendGrid's own ids of the mail (`sg_message_id`) begin."""
        return reply.headers.get("x-message-id")

    def words(self, reply: Reply) -> str:
        """Return the messages of the errors."""
        return " ".join(str(error.get("message", "")) for error in _errors(reply))

    def wait(self, reply: Reply) -> float | None:
        """Return the seconds until the limit is reset, which SendGrid gives as a time."""
        reset = reply.headers.get("x-ratelimit-reset", "")
        if reply.retry_after is not None or not re.fullmatch(r"\d{1,12}", reset, re.ASCII):
            return reply.retry_after
        return max(0.0, float(reset) - time.time())

    def verdict(self, reply: Reply, words: str) -> Kind | None:
        """Decide by the fields that the errors name."""
        fields = [str(error.get("field") or "") for error in _errors(reply)]
        if reply.status != _BAD_REQUEST or not fields:
            return by_status(reply.status)
        if not all(map(_MAIL.fullmatch, fields)):  # the sender, a header, the JSON
            return SendingRefused
        return RecipientRefused if any(map(_TO.fullmatch, fields)) else MailRefused


def _address(address: Address) -> dict[str, str]:
    name = one_line(address.name)
    return {"email": address.email, "name": name} if name else {"email": address.email}


def _errors(reply: Reply) -> list[Mapping[str, Any]]:
    errors = reply.body.get("errors")
    return [error for error in errors if isinstance(error, dict)] if isinstance(errors, list) else []
