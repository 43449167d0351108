"""A mail as SMTP carries it: ASCII with CRLF (but for a non-ASCII local part in `To`), in lines that any server takes.

Invariant: no name, address or text can add a header or end the mail, and the same mail gives the same bytes. Written by
hand, because the standard library needs thirty times the CPU; the tests read every mail with that.
"""

import re
from base64 import b64encode
from binascii import b2a_qp
from email.utils import format_datetime

from notifier.mail import Address, Mail

_LONGEST = 60  # a longer text might not fit in a line of 78 characters beside its header's name
_WORD_BYTES = 39  # 64 characters as an encoded word: fits in a line of 76 beside "Subject: "
_PLAIN = re.compile(r"(?:[\t -~]{0,998}\r\n)*")  # RFC 5322's limit for a line


def write(mail: Mail) -> bytes:
    """Write a mail's headers and both its forms, the preferred one last (RFC 2046)."""
    headers = {
        "From": _mailbox(mail.sender),
        "To": _mailbox(mail.recipient),
        "Subject": _text(mail.subject),
        "Date": format_datetime(mail.date),
        "Message-ID": mail.message_id,
        "MIME-Version": "1.0",
        **{name: _text(value) for name, value in mail.headers},
        "Content-Type": 'multipart/alternative; boundary="=_herald"',
    }
    head = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    return f"{head}\r\n{_part('plain', mail.text)}{_part('html', mail.html)}--=_herald--\r\n".encode()


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


def _mailbox(address: Address) -> str:
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
