"""Amazon SES, API version 2: `ses://ACCESS_KEY_ID:SECRET@email.REGION.amazonaws.com`.

`?region=` where the host doesn't say it, `?session_token=` for temporary credentials. SES replaces the Message-ID by
its own, so ours is in another header. https://docs.aws.amazon.com/ses/latest/APIReference-V2/API_SendEmail.html
"""

import re
from base64 import b64encode
from collections.abc import Mapping
from datetime import UTC, datetime

from notifier.errors import MailRefused, MailUrlInvalid, SendingRefused, ServerAway
from notifier.mail import Address, Mail
from notifier.providers.mailbox import one_line
from notifier.providers.reply import Kind, Reply, by_status
from notifier.providers.sender import ApiSender, json_body
from notifier.providers.sigv4 import Signer
from notifier.senders.smtp import mime

_PATH = "/v2/email/outbound-emails"
_REGION = re.compile(r"https?://email(?:-fips)?\.([a-z0-9-]+)\.(?:amazonaws\.com(?:\.cn)?|api\.aws)(?::\d+)?")
_NOT_A_TAG = re.compile(r"[^A-Za-z0-9_-]")
_THROTTLED = {"TooManyRequestsException", "LimitExceededException", "ThrottlingException", "Throttling"}
_ABOUT_A_MAIL = {"MessageRejected", "BadRequestException"}
_OURS = re.compile(
    r"not verified|identit|\bfrom|sender|source|configuration|tenant|account|paused|suspended|\btag|header|endpoint",
    re.IGNORECASE,
)


class Sender(ApiSender):
    """Sends mails over Amazon SES."""

    example = "ses://ACCESS_KEY_ID:SECRET@email.REGION.amazonaws.com"
    options = ("region", "session_token")

    def __init__(self, url: str, *, timeout: float) -> None:
        super().__init__(url, timeout=timeout)
        endpoint, options = self.endpoint, self.endpoint.options
        named = _REGION.fullmatch(endpoint.origin)
        region = options.get("region") or (named[1] if named else "")
        if not region:
            raise MailUrlInvalid("the host doesn't name the region, so ?region= must", f"{self.example}?region=REGION")
        self._signer = Signer(endpoint.user, endpoint.password, region, "ses", options.get("session_token", ""))

    def request(self, mail: Mail) -> tuple[str, bytes, Mapping[str, str]]:
        """Return `POST /v2/email/outbound-emails`, signed."""
        if not mail.recipient.email.isascii():
            raise MailRefused("Amazon SES has no SMTPUTF8, which the local part of this address needs")
        headers = (*mail.headers, ("X-Herald-Message-ID", mail.message_id))
        content, types = json_body(
            {
                "FromEmailAddress": _mailbox(mail.sender),
                "Destination": {"ToAddresses": [_mailbox(mail.recipient)]},
                "Content": {
                    "Simple": {
                        "Subject": _text(one_line(mail.subject)),
                        "Body": {"Text": _text(mail.text), "Html": _text(mail.html)},
                        "Headers": [{"Name": name, "Value": value} for name, value in headers],
                        "Attachments": [
                            {
                                "FileName": one_line(file.name),
                                "ContentType": file.content_type,
                                "ContentDisposition": "ATTACHMENT",
                                "ContentTransferEncoding": "BASE64",
                                "RawContent": b64encode(file.content).decode(),
                            }
                            for file in mail.attachments
                        ],
                    }
                },
                "EmailTags": [{"Name": "herald-key", "Value": _NOT_A_TAG.sub("-", mail.key)[-256:]}],
            }
        )
        return _PATH, content, self._signer.post(self.endpoint.authority, _PATH, content, types, datetime.now(UTC))

    def reference(self, reply: Reply) -> object:
        """Return the MessageId, which is also the local part of the Message-ID that SES writes."""
        return reply.body.get("MessageId")

    def words(self, reply: Reply) -> str:
        """Return the error's name, and the message."""
        name = re.sub("(?<=[a-z])(?=[A-Z])", " ", _name(reply))  # a privacy filter knows words, no CamelCase
        return f"{name} {reply.text('message') or reply.text('Message')}"

    def verdict(self, reply: Reply, words: str) -> Kind | None:
        """Decide by the error's name. It never says that the recipient's address is refused for good."""
        name = _name(reply)
        if name in _THROTTLED:
            return ServerAway
        if name in _ABOUT_A_MAIL and reply.status < 500:  # noqa: PLR2004
            return SendingRefused if _OURS.search(words) else MailRefused
        return by_status(reply.status)


def _name(reply: Reply) -> str:
    name = reply.headers.get("x-amzn-errortype", "").partition(":")[0] or reply.text("__type")
    return name.rpartition("#")[2]


def _text(text: str) -> dict[str, str]:
    return {"Data": text, "Charset": "UTF-8"}


def _mailbox(address: Address) -> str:
    """Return an address with its name in ASCII (RFC 2047), on one line."""
    return mime.mailbox(Address(one_line(address.name), address.email)).replace("\r\n", "")
