"""A mail as SMTP carries it: ASCII with CRLF (but for a non-ASCII local part in `To`), in lines that any server takes.

Invariant: no name, address or text can add a header or end the mail, and the same mail gives the same bytes. Written by
hand, because the standard library needs thirty times the CPU; the tests read every mail with that.
"""

import re
from base64 import b64encode, encodebytes
from binascii import b2a_qp
from email.utils import format_datetime
from urllib.parse import quote

from notifier.mail import Address, Attachment, Mail

_LONGEST = 60  # a longer text might not fit in a line of 78 characters beside its header's name
_WORD_BYTES = 39  # 64 characters as an encoded word: fits in a line of 76 beside "Subject: "
_PLAIN = re.compile(r"(?:[\t -~]{0,998}\r\n)*")  # RFC 5322's limit for a line
_FORMS = 'Content-Type: multipart/alternative; boundary="=_herald"\r\n'
_MIXED = 'Content-Type: multipart/mixed; boundary="mixed=_herald"\r\n'
_FILE_NAME = re.compile(r"[A-Za-z0-9._-]{1,60}")
_CONTENT_TYPE = re.compile(r"[a-z]{1,20}/[a-z0-9.+-]{1,60}")


def write(mail: Mail) -> bytes:
    """Write a mail's headers, both its forms, the preferred one last (RFC 2046), and its attachments."""
    headers = {
        "From": mailbox(mail.sender),
        "To": mailbox(mail.recipient),
        "Subject": _text(mail.subject),
        "Date": format_datetime(mail.date),
        "Message-ID": mail.message_id,
        "MIME-Version": "1.0",
        **{name: _text(value) for name, value in mail.headers},
    }
    head = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    forms = f"{_FORMS}\r\n{_part('plain', mail.text)}{_part('html', mail.html)}--=_herald--\r\n"
    return f"{head}{_mixed(forms, mail.attachments) if mail.attachments else forms}".encode()


def _mixed(forms: str, attachments: tuple[Attachment, ...]) -> str:
    """Write the forms and then the attachments. The boundary contains that of the forms, so no body has it either."""
    parts = "".join(f"--mixed=_herald\r\n{part}\r\n" for part in (forms, *map(_attachment, attachments)))
    return f"{_MIXED}\r\n{parts}--mixed=_herald--\r\n"


def _attachment(file: Attachment) -> str:
    """Write a file in Base64. An unusual name is percent-encoded (RFC 2231), so that it can't end its header."""
    content_type = file.content_type if _CONTENT_TYPE.fullmatch(file.content_type) else "application/octet-stream"
    plain = _FILE_NAME.fullmatch(file.name)
    name = f'filename="{file.name}"' if plain else f"filename*=utf-8''{quote(file.name, safe='')}"
    head = f"Content-Type: {content_type}\r\nContent-Disposition: attachment;\r\n {name}\r\n"
    content = encodebytes(file.content).decode("ascii").replace("\n", "\r\n")
    return f"{head}Content-Transfer-Encoding: base64\r\n\r\n{content}"


def _part(kind: str, text: str) -> str:
    """Write one form: as it is if its lines are short ASCII without the boundary, else as quoted-printable."""
    body = text.replace("\r\n", "\n").replace("\r", "\n").removesuffix("\n").replace("\n", "\r\n") + "\r\n"
    encoding = "7bit"
    if "=_herald" in body or not _PLAIN.fullmatch(body):
        encoding, body = "quoted-printable", b2a_qp(body.encode(), istext=True).decode("ascii")  # it has no "=_"
    head = f"Content-Type: text/{kind}; charset=utf-8\r\nContent-Transfer-Encoding: {encoding}"
    return f"--=_herald\r\n{head}\r\n\r\n{body}\r\n"


def _text(text: str) -> str:
    """Encode free text for a header: as it is if short printable ASCII, else as RFC 2047 words of whole characters."""
    if text.isascii() and text.isprintable() and len(text) <= _LONGEST and "=?" not in text:
        return text
    words = [b""]
    for character in map(str.encode, text):
        if len(words[-1]) + len(character) > _WORD_BYTES:
            words.append(b"")
        words[-1] += character
    return "\r\n ".join(f"=?utf-8?b?{b64encode(word).decode('ascii')}?=" for word in words)


def mailbox(address: Address) -> str:
    """Write `"name" <address>` for From or To.

    A local part that looks like an RFC 2047 word is quoted and escaped, because many clients decode within quotes too.
    """
    email, name = address.email, _text(address.name)
    if "=?" in email:
        local, _, domain = email.rpartition("@")
        email = '"{}"@{}'.format(local.replace("=?", r"=\?"), domain)
    if not name:
        return email
    if name is address.name:
        name = '"{}"'.format(name.replace("\\", r"\\").replace('"', r"\""))
    return f"{name} <{email}>" if len(name) + len(email) <= _LONGEST else f"{name}\r\n <{email}>"
