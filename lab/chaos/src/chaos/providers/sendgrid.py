"""SendGrid: https://www.twilio.com/docs/sendgrid/api-reference/mail-send/mail-send."""

from base64 import b64decode
from collections.abc import Mapping

from chaos.providers.exchange import Provider, Reply, Request, Taken, require, require_fields

RESERVED = {
    "x-sg-id",
    "x-sg-eid",
    "received",
    "dkim-signature",
    "content-type",
    "content-transfer-encoding",
    "to",
    "from",
    "subject",
    "reply-to",
    "cc",
    "bcc",
}
"""Headers that a request may not set."""


class SendGrid(Provider):
    """SendGrid's `POST /v3/mail/send`."""

    login = "SG.key"

    def read(self, request: Request) -> Taken:
        """Check the key and the fields."""
        require((request.method, request.path) == ("POST", "/v3/mail/send"), "no such endpoint")
        require(request.headers.get("authorization") == f"Bearer {self.login}", "no valid Authorization")
        body = request.json()
        wanted = ("personalizations", "from", "subject", "content", "headers", "custom_args")
        require_fields(body, wanted, optional=("attachments",))
        [personalization] = body["personalizations"]
        require_fields(personalization, ("to",))
        [recipient] = personalization["to"]
        text, html = body["content"]
        require((text["type"], html["type"]) == ("text/plain", "text/html"), "the content is out of order")
        require(text["value"] and html["value"] and body["subject"], "an empty content or subject")
        require(all(isinstance(each, str) for each in body["custom_args"].values()), "custom_args must be strings")
        require(not RESERVED & {name.lower() for name in body["headers"]}, "a reserved header")
        for file in body.get("attachments", ()):
            require_fields(file, ("content", "filename"), optional=("type", "disposition"))
        files = [(each["filename"], each["type"], b64decode(each["content"])) for each in body.get("attachments", ())]
        return Taken(
            key=body["custom_args"]["herald_key"],
            sender=_mailbox(body["from"]),
            recipient=_mailbox(recipient),
            subject=body["subject"],
            text=text["value"],
            html=html["value"],
            headers=body["headers"],
            files=tuple(files),
        )

    def accepted(self, number: int) -> Reply:
        """Return 202 without a body; the id is in a header."""
        return Reply(202, b"", {"X-Message-Id": f"sg-{number}"})

    def rejected(self) -> Reply:
        """Return 400 with the field that is wrong."""
        error = {"field": "personalizations.0.to.0.email", "message": "Does not contain a valid address.", "help": None}
        return Reply.json(400, {"errors": [error]})

    def throttled(self, after: int) -> Reply:
        """Return 429."""
        errors = [{"field": None, "message": "too many requests"}]
        return Reply.json(429, {"errors": errors}, Retry_After=str(after))

    def refused(self, why: str) -> Reply:
        """Return 400."""
        return Reply.json(400, {"errors": [{"message": f"Bad Request: {why}", "field": None, "help": None}]})


def _mailbox(address: Mapping[str, str]) -> str:
    require_fields(address, ("email",), optional=("name",))
    return f'"{address["name"]}" <{address["email"]}>' if "name" in address else address["email"]
