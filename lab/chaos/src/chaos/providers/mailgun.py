"""Mailgun: https://documentation.mailgun.com/docs/mailgun/api-reference/send/mailgun/messages."""

from base64 import b64encode
from email import message_from_bytes, policy
from urllib.parse import parse_qsl

from chaos.providers.exchange import Provider, Reply, Request, Taken, require, require_fields

Files = list[tuple[str, str, bytes]]


class Mailgun(Provider):
    """Mailgun's `POST /v3/{domain}/messages`."""

    login = "api-key"
    rest = "/mg.example.org"

    def read(self, request: Request) -> Taken:
        """Check the login, the domain and the fields of either kind of form."""
        require((request.method, request.path) == ("POST", f"/v3{self.rest}/messages"), "no such endpoint")
        login = b64encode(f"api:{self.login}".encode()).decode()
        require(request.headers.get("authorization") == f"Basic {login}", "no valid Authorization")
        pairs, files = _form(request)
        fields = dict(pairs)
        require(len(fields) == len(pairs), "a field came twice")
        headers = {name[2:]: value for name, value in pairs if name.startswith("h:")}
        options = {f"h:{name}" for name in headers}
        require_fields(fields, ("from", "to", "subject", "text", "html", "v:herald-key"), optional=options)
        return Taken(
            key=fields["v:herald-key"],
            sender=fields["from"],
            recipient=fields["to"],
            subject=fields["subject"],
            text=fields["text"],
            html=fields["html"],
            headers=headers,
            files=tuple(files),
        )

    def accepted(self, number: int) -> Reply:
        """Return 200 with an id, which is a Message-ID."""
        return Reply.json(200, {"id": f"<{number}@mg.example.org>", "message": "Queued. Thank you."})

    def rejected(self) -> Reply:
        """Return 400."""
        return Reply.json(400, {"message": "'to' parameter is not a valid address. please check documentation"})

    def throttled(self, after: int) -> Reply:
        """Return 429."""
        return Reply.json(429, {"message": "Too many requests"}, Retry_After=str(after))

    def refused(self, why: str) -> Reply:
        """Return 400."""
        return Reply.json(400, {"message": why})


def _form(request: Request) -> tuple[list[tuple[str, str]], Files]:
    kind = request.headers["content-type"]
    if kind == "application/x-www-form-urlencoded":
        return parse_qsl(request.body.decode("ascii"), strict_parsing=True, errors="strict"), []
    require(kind.startswith("multipart/form-data; boundary="), "no form")
    form = message_from_bytes(f"Content-Type: {kind}\r\n\r\n".encode() + request.body, policy=policy.HTTP)
    pairs: list[tuple[str, str]] = []
    files: Files = []
    for part in form.iter_parts():
        content = part.get_payload(decode=True)
        require(isinstance(content, bytes), "a part in parts")
        name, file_name = (part.get_param(each, header="Content-Disposition") for each in ("name", "filename"))
        if file_name is None:
            pairs.append((str(name), bytes(content).decode()))
        else:
            require(name == "attachment", "a file that is no attachment")
            files.append((str(file_name), part.get_content_type(), bytes(content)))
    return pairs, files
