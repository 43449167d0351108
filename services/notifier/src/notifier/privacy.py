"""Taking out of a text what identifies a person or is secret, however a server spells it.

Servers quote what they were given in their own way: in another case, without accents or the domain, with the escapes of
a URL, of quoted-printable, of RFC 6533 or of a programming language, in Base64, in Latin-1. So a text is searched as it
is and with its escapes undone, folded each time; every character found leads back to where it stands.
"""

import re
import sys
import unicodedata
from base64 import b64decode
from collections.abc import Iterable, Iterator
from contextlib import suppress
from functools import lru_cache
from typing import NamedTuple

import idna

_ADDRESS = re.compile(r"[^\s<>@]+(?:@|%40|[=+]40(?=[a-z])|\\x40|&#64;)[^\s<>@]+", re.IGNORECASE)
_ENCODED_WORD = re.compile(r"=\?[^?\s]+\?[bq]\?[^?\s]*\?=", re.IGNORECASE)
_TOKENS = re.compile(r"[A-Za-z0-9+/]{4,}"), re.compile(r"[A-Za-z0-9_-]{4,}")
_BYTES = r"((?:[%=+][0-9a-f]{2}|\\x[0-9a-f]{2}|\\[0-7]{3})+)"
_CODE = r"(?:\\[ux]\{?|&\#x)([0-9a-f]{2,6})[};]?|&\#([0-9]{1,7});"
_ESCAPE = re.compile(rf"{_BYTES}|{_CODE}|\\(\S)", re.IGNORECASE)
_BYTE = re.compile(r"\\([0-7]{3})|..?([0-9a-f]{2})", re.IGNORECASE)
_SHORTEST = 3  # letters of a part of a name that is looked for by itself
_LIMIT = 2000  # characters of a text that are looked at


class _Piece(NamedTuple):
    """A piece of a text, read as `plain`."""

    plain: str
    begin: int
    end: int


class Hidden:
    """What must not be seen of one recipient (`address`, `name`) and of one login (`secrets`)."""

    def __init__(self, address: str = "", name: str = "", secrets: Iterable[str] = ()) -> None:
        self._address = address
        self._name = name
        self._secrets = [secret for secret in secrets if secret]

    def out_of(self, text: str) -> str:
        """Return the text, its beginning if it is long, with marks in place of every address and of what is hidden."""
        text = unicodedata.normalize("NFC", text)
        if len(text) > _LIMIT:
            text = text[:_LIMIT].rpartition(" ")[0]  # no half of an address
        text = _without(_ENCODED_WORD.sub("[encoded]", text), self._secrets, "[secret]")
        return _without(_ADDRESS.sub("[address]", text), self._recipient(), "[recipient]")

    def _recipient(self) -> list[str]:
        local, _, domain = self._address.rpartition("@")
        parts = re.split(r"[\W_]+", f"{local} {self._name}")
        return [local, self._name.strip(), *_idna_forms(domain), *(part for part in parts if len(part) >= _SHORTEST)]


def _idna_forms(domain: str) -> set[str]:
    with suppress(UnicodeError):
        return {domain, idna.decode(domain)}
    return {domain}


def _without(text: str, needles: Iterable[str], mark: str) -> str:
    forms = {form for needle in needles for form in _forms(needle) if form}
    if not forms:
        return text
    spans = [span for view in (_characters(text), list(_unescaped(text))) for span in _found(view, forms)]
    spans += [token.span() for tokens in _TOKENS for token in tokens.finditer(text) if _betrays(token[0], forms)]
    return _marked(text, spans, mark)


def _betrays(token: str, forms: Iterable[str]) -> bool:
    return any(True for plain in _decoded(token) for _ in _found(_characters(plain), forms))


def _marked(text: str, spans: Iterable[tuple[int, int]], mark: str) -> str:
    pieces, done = [], 0
    for begin, end in sorted(spans):
        if begin >= done:
            pieces += [text[done:begin], mark]
        done = max(done, end)
    return "".join([*pieces, text[done:]])


def _found(view: Iterable[_Piece], forms: Iterable[str]) -> Iterator[tuple[int, int]]:
    """Find where any of the forms stands as a whole word, as far as words have ends in its script."""
    folded = [(character, piece) for piece in view for character in _fold(piece.plain)]
    text = "".join(character for character, _ in folded)
    for form in forms:
        at = text.find(form)
        while at >= 0:
            end = at + len(form)
            if not (_joined(text[at - 1 : at + 1]) or _joined(text[end - 1 : end + 1])):
                yield folded[at][1].begin, folded[end - 1][1].end
            at = text.find(form, at + 1)


def _joined(pair: str) -> bool:
    """Tell whether these two characters belong to one word."""
    return bool(re.fullmatch("[a-z0-9]{2}", pair))


def _forms(needle: str) -> set[str]:
    """Return how a needle may look in a folded text: as it is, in punycode, in Latin-1, or with letters given up."""
    if needle.isascii():
        return {needle.lower()}
    given_up = [re.sub(r"[^\x00-\x7f]", mark, needle) for mark in ("\ufffd", "?")]
    latin = [needle.encode(errors="replace").decode("latin-1")]
    punycode = [f"xn--{needle.lower().encode('punycode').decode()}"]
    return {_fold(form) for form in (needle, *given_up, *latin, *punycode)} - {"?", "\ufffd"}


@lru_cache(maxsize=4096)
def _fold(text: str) -> str:
    """Take away case, accents and widths."""
    if text.isascii():
        return " " if text.isspace() else text.lower()
    decomposed = unicodedata.normalize("NFKD", text)
    return "".join(letter for letter in decomposed if not unicodedata.combining(letter)).casefold()


def _characters(text: str) -> list[_Piece]:
    return [_Piece(character, at, at + 1) for at, character in enumerate(text)]


def _unescaped(text: str) -> Iterator[_Piece]:
    done = 0
    for escape in _ESCAPE.finditer(text):
        yield from (_Piece(text[at], at, at + 1) for at in range(done, escape.start()))
        done = escape.end()
        yield from _characters_of(escape)
    yield from (_Piece(text[at], at, at + 1) for at in range(done, len(text)))


def _characters_of(escape: re.Match[str]) -> Iterator[_Piece]:
    """Read one escape; a run of escaped bytes is read character by character."""
    octets, hexadecimal, decimal, quoted = escape.groups()
    if not octets:
        point = int(hexadecimal, 16) if hexadecimal else int(decimal) if decimal else ord(quoted)
        yield _Piece(chr(point) if point <= sys.maxunicode else "\ufffd", *escape.span())
        return
    found = list(_BYTE.finditer(octets))
    raw = bytes(int(byte[1], 8) & 255 if byte[1] else int(byte[2], 16) for byte in found)
    at = 0
    for character in raw.decode("utf-8", "surrogateescape"):
        size = 1 if "\udc80" <= character <= "\udcff" else len(character.encode())
        plain = raw[at : at + size].decode("latin-1") if size == 1 else character
        yield _Piece(plain, escape.start() + found[at].start(), escape.start() + found[at + size - 1].end())
        at += size


def _decoded(token: str) -> Iterator[str]:
    """Read a token as Base64 and as hexadecimal digits, where that gives text."""
    padded = token.replace("-", "+").replace("_", "/") + "=" * (-len(token) % 4)
    for decode, encoded in ((b64decode, padded), (bytes.fromhex, token)):
        with suppress(ValueError):  # what isn't encoded so
            plain = decode(encoded).decode().replace("\0", " ")
            if plain.isprintable():
                yield plain
