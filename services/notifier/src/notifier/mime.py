"""The words of a mail on the wire: pure ASCII, in lines that any SMTP server takes.

What goes in may be any text; what comes out holds no line break but the folds made here, so that no name and
no address can add a header.
"""

import re
from base64 import b64encode
from binascii import b2a_qp

import idna

_PLAIN_LIMIT = 60  # a longer text might not fit in a line of 78 characters beside its header's name
_WORD_BYTES = 39  # 64 characters as an encoded word: fits in a line of 76 beside "Subject: "
_ADDRESS = re.compile(r"[^\s\x00-\x1f\x7f-\x9f()<>\[\]:;@\\,\"]+@[^\s\x00-\x1f\x7f-\x9f()<>\[\]:;@\\,\"]+")
_DOMAIN = re.compile(r"[A-Za-z0-9._-]+")


def header_text(text: str) -> str:
    """Encode free text for a header: as it is if short printable ASCII, else as RFC 2047 words."""
    plain = text.isascii() and text.isprintable() and len(text) <= _PLAIN_LIMIT and "=?" not in text
    return text if plain else _encoded_words(text)


def mailbox(name: str, address: str) -> str:
    """Write `"name" <address>` for From or To; the address must come from `wire_address`."""
    address = _undecodable(address)
    if not name:
        return address
    text = header_text(name)
    if text is name:
        quoted = name.replace("\\", r"\\").replace('"', r"\"")
        text = f'"{quoted}"'
    fold = "" if len(text) + len(address) <= _PLAIN_LIMIT else "\r\n"
    return f"{text}{fold} <{address}>"


def wire_address(address: str) -> str | None:
    """Give the address with its domain in ASCII (IDNA 2008), or None if it isn't one plain address.

    Only the local part may stay non-ASCII: such an address needs a server that offers SMTPUTF8.
    """
    if not _ADDRESS.fullmatch(address):
        return None
    local, _, domain = address.partition("@")
    if domain.isascii():
        return address if _DOMAIN.fullmatch(domain) else None
    try:
        return f"{local}@{idna.encode(domain, uts46=True).decode('ascii')}"
    except idna.IDNAError:
        return None


def quoted_printable(text: str) -> bytes:
    """Encode a body whose lines end in LF: ASCII, CRLF, at most 76 characters to a line."""
    return b2a_qp(text.replace("\n", "\r\n").encode(), istext=True)


def _undecodable(address: str) -> str:
    """Quote a local part that a mail client would decode as an RFC 2047 word, so that it stands for itself.

    The quotes alone are not enough: many clients decode within them. The backslash leaves no `=?` to find.
    """
    if "=?" not in address:
        return address
    local, _, domain = address.rpartition("@")
    escaped = local.replace("=?", r"=\?")
    return f'"{escaped}"@{domain}'


def _encoded_words(text: str) -> str:
    """Split into words on lines of their own; none splits a character, as RFC 2047 demands."""
    words = [b""]
    for character in map(str.encode, text):
        if len(words[-1]) + len(character) > _WORD_BYTES:
            words.append(b"")
        words[-1] += character
    return "\r\n ".join(f"=?utf-8?b?{b64encode(word).decode('ascii')}?=" for word in words)
