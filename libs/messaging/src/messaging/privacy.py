"""Which words of an outside server's reply may be logged and stored.

Servers quote what they received in many spellings: in another case, with the escapes of a URL, of quoted-printable or
of a programming language, in Base64, in Latin-1. So this module doesn't search for what must go; it lists what may
stay: plain ASCII words, short numbers and enhanced status codes, except those that are part of the recipient's name or
address, or of a secret.
"""

import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass

_AROUND = r"[<>()\[\]{}\"'.,;:!?#*-]*"
_TOKEN = re.compile(rf"({_AROUND})(.*?)(%?{_AROUND})", re.DOTALL)
_WORD = r"(?:[A-Z]?[a-z]{1,19}|[A-Z]{1,20})"
_KEPT = re.compile(rf"(?:{_WORD}(?:[-'/:]{_WORD})*|\d{{1,4}}|[245]\.\d{{1,3}}\.\d{{1,3}})?")
_LIMIT = 2000  # characters of a text that are read; the rest is dropped


@dataclass(frozen=True, slots=True)
class Hidden:
    """What must not be repeated: a recipient's `names` (name, local part, domain) and the `secrets` of a login."""

    names: tuple[str, ...] = ()
    secrets: tuple[str, ...] = ()

    def out_of(self, words: str | bytes, limit: int = 200) -> str:
        """Return the first `limit` characters of a text, on one line, with marks in place of what isn't allowed."""
        text = _decoded(words)
        marks = dict.fromkeys(_parts(self.names), "[recipient]") | dict.fromkeys(_parts(self.secrets), "[secret]")
        return re.sub(r"…\](?: \[…\])+", "…]", " ".join(_shown(token, marks) for token in text.split()))[:limit]

    def names_out_of(self, words: str | bytes) -> str:
        """Return a text without addresses and recipients' names: to decide by, not to show."""
        names = "|".join(sorted(map(re.escape, _parts(self.names)), key=len, reverse=True)) or "(?!)"
        return re.sub(rf"\S*@\S*|(?<![^\W_])(?:{names})(?![^\W_])", " ", _decoded(words), flags=re.IGNORECASE)


def _decoded(words: str | bytes) -> str:
    return (words.decode(errors="replace") if isinstance(words, bytes) else words)[:_LIMIT]


def _shown(token: str, marks: dict[str, str]) -> str:
    match = _TOKEN.fullmatch(token)
    before, core, after = match.groups() if match else ("", token, "")
    if core.casefold() in marks:
        return f"{before}{marks[core.casefold()]}{after}"
    if not _KEPT.fullmatch(core):
        return "[…]"
    return before + re.sub(r"\w+", lambda word: marks.get(word[0].casefold(), word[0]), core) + after


def _parts(texts: Iterable[str]) -> set[str]:
    """Return the words of the texts in lower case: as written, without accents, and split at letters beyond a-z."""
    whole = {text.strip().casefold() for text in texts}
    parts: set[str] = set()
    for text in whole:
        plain = "".join(char for char in unicodedata.normalize("NFKD", text) if not unicodedata.combining(char))
        parts |= {part for part in re.split(r"[\W_]+", plain) + re.split("[^a-z0-9]+", text) if len(part) > 1}
    return (whole | parts) - {""}
