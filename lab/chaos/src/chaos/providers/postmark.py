"""Postmark: https://postmarkapp.com/developer/api/email-api."""

from base64 import b64decode

from chaos.providers.exchange import Provider, Reply, Request, Taken, require, require_fields


class Postmark(Provider):
    """Postmark's `POST /email`."""

    login = "POSTMARK-API-TEST"

    def read(self, request: Request) -> Taken:
        """Check the token, the two JSON headers, and the fields."""
        require((request.method, request.path) == ("POST", "/email"), "no such endpoint")
        require(request.headers.get("x-postmark-server-token") == self.login, "no valid X-Postmark-Server-Token")
        require(request.headers.get("accept") == "application/json", "Accept is not application/json")
        body = request.json()
        require_fields(
            body, ("From", "To", "Subject", "TextBody", "HtmlBody", "Headers", "Metadata"), optional=("Attachments",)
        )
        for header in body["Headers"]:
            require_fields(header, ("Name", "Value"))
        for file in body.get("Attachments", ()):
            require_fields(file, ("Name", "Content", "ContentType"))
        for name, value in body["Metadata"].items():
            require(len(name) <= 20 and len(value) <= 80, "metadata is too long")
        files = [
            (each["Name"], each["ContentType"], b64decode(each["Content"])) for each in body.get("Attachments", ())
        ]
        return Taken(
            key=body["Metadata"]["herald-key"],
            sender=body["From"],
            recipient=body["To"],
            subject=body["Subject"],
            text=body["TextBody"],
            html=body["HtmlBody"],
            headers={each["Name"]: each["Value"] for each in body["Headers"]},
            files=tuple(files),
        )

    def accepted(self, number: int) -> Reply:
        """Return 200 with a MessageID."""
        message_id = f"{number:08x}-0a46-4e4d-9d5f-000000000000"
        return Reply.json(200, {"ErrorCode": 0, "Message": "OK", "MessageID": message_id, "To": "", "SubmittedAt": ""})

    def rejected(self) -> Reply:
        """Return 422 with the ErrorCode of an inactive recipient."""
        message = "You tried to send to recipient(s) that have been marked as inactive."
        return Reply.json(422, {"ErrorCode": 406, "Message": message})

    def throttled(self, after: int) -> Reply:
        """Return 429."""
        return Reply.json(429, {"ErrorCode": 429, "Message": "Rate limit exceeded"}, Retry_After=str(after))

    def refused(self, why: str) -> Reply:
        """Return 422."""
        return Reply.json(422, {"ErrorCode": 403, "Message": f"Incompatible JSON: {why}"})
