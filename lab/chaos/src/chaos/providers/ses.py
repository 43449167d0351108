"""Amazon SES: https://docs.aws.amazon.com/ses/latest/APIReference-V2/API_SendEmail.html."""

import hmac
import re
from base64 import b64decode
from datetime import UTC, datetime
from email.header import decode_header, make_header
from email.utils import getaddresses
from hashlib import sha256

from chaos.providers.exchange import Provider, Reply, Request, Taken, require, require_fields

PATH = "/v2/email/outbound-emails"
SECRET = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"  # noqa: S105  # from Amazon's documentation

_AUTHORIZATION = re.compile(
    r"AWS4-HMAC-SHA256 Credential=(AKIDEXAMPLE)/(\d{8})/(eu-west-1)/(ses)/aws4_request,"
    r" SignedHeaders=([a-z0-9;-]+), Signature=([0-9a-f]{64})"
)
_TAG = re.compile(r"[A-Za-z0-9_-]{1,256}")


class Ses(Provider):
    """Amazon SES' `SendEmail`."""

    login = "AKIDEXAMPLE:wJalrXUtnFEMI%2FK7MDENG%2BbPxRfiCYEXAMPLEKEY"
    rest = "?region=eu-west-1"

    def read(self, request: Request) -> Taken:
        """Check the signature and the fields."""
        require((request.method, request.path) == ("POST", PATH), "no such endpoint")
        require(_is_signed(request), "the signature does not match")
        body = request.json()
        require_fields(body, ("FromEmailAddress", "Destination", "Content", "EmailTags"))
        require_fields(body["Content"], ("Simple",))
        require_fields(body["Destination"], ("ToAddresses",))
        simple = body["Content"]["Simple"]
        require_fields(simple, ("Subject", "Body", "Headers"), optional=("Attachments",))
        texts = [simple["Subject"], simple["Body"]["Text"], simple["Body"]["Html"]]
        require(all(text["Charset"] == "UTF-8" for text in texts), "the charset is missing")
        for header in simple["Headers"]:
            require(re.fullmatch(r"[!-9;-@A-~]{1,126}", header["Name"]), "a header's name")
            require(re.fullmatch(r"[ -~]{1,995}", header["Value"]), "a header's value")
        [tag] = body["EmailTags"]
        require(_TAG.fullmatch(tag["Name"]) and _TAG.fullmatch(tag["Value"]), "a tag's characters")
        files = [
            (each["FileName"], each["ContentType"], b64decode(each["RawContent"])) for each in simple["Attachments"]
        ]
        [recipient] = body["Destination"]["ToAddresses"]
        return Taken(
            key=tag["Value"],
            sender=_decoded(body["FromEmailAddress"]),
            recipient=_decoded(recipient),
            subject=simple["Subject"]["Data"],
            text=simple["Body"]["Text"]["Data"],
            html=simple["Body"]["Html"]["Data"],
            headers={each["Name"]: each["Value"] for each in simple["Headers"]},
            files=tuple(files),
        )

    def accepted(self, number: int) -> Reply:
        """Return 200 with a MessageId."""
        return Reply.json(200, {"MessageId": f"0102{number:012x}-000000"})

    def rejected(self) -> Reply:
        """Return 400. SES doesn't say which address it means."""
        return Reply.json(400, {"message": "Illegal address"}, x_amzn_ErrorType="BadRequestException")

    def throttled(self, after: int) -> Reply:
        """Return 429. SES itself names no time."""
        body = {"message": "Maximum sending rate exceeded."}
        return Reply.json(429, body, x_amzn_ErrorType="TooManyRequestsException", Retry_After=str(after))

    def refused(self, why: str) -> Reply:
        """Return 400."""
        return Reply.json(400, {"message": why}, x_amzn_ErrorType="BadRequestException")


def _decoded(address: str) -> str:
    """Return an address with its name in Unicode; it must come in ASCII."""
    require(address.isascii() and address.isprintable(), "an address that isn't one line of ASCII")
    [(name, email)] = getaddresses([address])
    name = str(make_header(decode_header(name))).replace("\\", r"\\").replace('"', r"\"")
    return f'"{name}" <{email}>' if name else email


def _is_signed(request: Request) -> bool:
    """Compute the signature by what the request says that it signed."""
    match = _AUTHORIZATION.fullmatch(request.headers.get("authorization", ""))
    if not match:
        return False
    day, region, service, names, signature = match.groups()[1:]
    signed = names.split(";")
    now = request.headers["x-amz-date"]
    age = (datetime.now(UTC) - datetime.strptime(now + "+0000", "%Y%m%dT%H%M%SZ%z")).total_seconds()
    if not {"host", "x-amz-date"} <= set(signed) or signed != sorted(signed) or abs(age) > 300:
        return False
    lines = "".join(f"{name}:{request.headers[name]}\n" for name in signed)
    digest = sha256(request.body).hexdigest()
    canonical = f"POST\n{PATH}\n\n{lines}\n{names}\n{digest}"
    scope = f"{day}/{region}/{service}/aws4_request"
    text = f"AWS4-HMAC-SHA256\n{now}\n{scope}\n{sha256(canonical.encode()).hexdigest()}"
    key = f"AWS4{SECRET}".encode()
    for part in (day, region, service, "aws4_request", text):
        key = hmac.new(key, part.encode(), sha256).digest()
    return hmac.compare_digest(key.hex(), signature)
