"""Postmark, `postmark://SERVER_TOKEN@api.postmarkapp.com`: https://postmarkapp.com/developer/api/email-api.

Postmark keeps our Message-ID, because X-PM-KeepID asks for it.
"""

import re
from base64 import b64encode
from collections.abc import Mapping

from notifier.errors import MailRefused, MailUncertain, RecipientRefused, SendingRefused, ServerAway
from notifier.mail import Mail
from notifier.providers.mailbox import mailbox, one_line
from notifier.providers.reply import Kind, Reply, by_status
from notifier.providers.sender import ApiSender, json_body

_MAINTENANCE = 100
_INVALID = 300
_KINDS: dict[object, Kind] = {
    _MAINTENANCE: ServerAway,
    406: RecipientRefused,  # inactive: it bounced, complained or was suppressed by hand
    411: MailRefused,  # a forbidden type of attachment
    429: ServerAway,
}
"""By Postmark's ErrorCode. Any other is the settings' fault: token (10), sender (400, 401), credit (405), account (412,
413), stream (1235)."""

_TO = re.compile(r"(invalid|error parsing) 'to'", re.IGNORECASE)
_OURS = re.compile(r"'(from|replyto|messagestream)'|metadata", re.IGNORECASE)


class Sender(ApiSender):
    """Sends mails over Postmark."""

    example = "postmark://SERVER_TOKEN@api.postmarkapp.com"

    def request(self, mail: Mail) -> tuple[str, bytes, Mapping[str, str]]:
        """Return `POST /email`."""
        headers = (*mail.headers, ("Message-ID", mail.message_id), ("X-PM-KeepID", "true"))
        content, types = json_body(
            {
                "From": mailbox(mail.sender),
                "To": mailbox(mail.recipient),
                "Subject": one_line(mail.subject),
                "TextBody": mail.text,
                "HtmlBody": mail.html,
                "Headers": [{"Name": name, "Value": value} for name, value in headers],
                "Metadata": {"herald-key": mail.key[-80:]},  # it takes no more
                "Attachments": [
                    {
                        "Name": one_line(file.name),
                        "Content": b64encode(file.content).decode(),
                        "ContentType": file.content_type,
                    }
                    for file in mail.attachments
                ],
            }
        )
        return "/email", content, {**types, "X-Postmark-Server-Token": self.endpoint.user}

    def reference(self, reply: Reply) -> object:
        """Return the MessageID, which is Postmark's own id."""
        return reply.body.get("MessageID")

    def words(self, reply: Reply) -> str:
        """Return the ErrorCode, and the message."""
        return f"{reply.body.get('ErrorCode', '')} {reply.text('Message')}"

    def verdict(self, reply: Reply, words: str) -> Kind | None:
        """Decide by the ErrorCode, which a refusal has; it is 0 in an acceptance."""
        code = reply.body.get("ErrorCode")
        if not code or not isinstance(code, int):
            return by_status(reply.status)
        if reply.status >= 500 and code != _MAINTENANCE:  # noqa: PLR2004
            return MailUncertain
        if code == _INVALID:
            return RecipientRefused if _TO.search(words) else SendingRefused if _OURS.search(words) else MailRefused
        return _KINDS.get(code, by_status(reply.status) or SendingRefused)
