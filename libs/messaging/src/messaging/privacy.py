"""What may be repeated of the words of a server outside Herald.

Servers quote what they were given in many spellings: in another case, with the escapes of a URL, of quoted-printable or
of a programming language, in Base64, in Latin-1. So nothing is searched for: only plain ASCII words, short numbers and
enhanced status codes are kept, and of those none that is a part of the recipient's name or address, or of a secret.
"""

import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass

_AROUND = r"[<>()\[\]{}\"'.,;:!?#*-]*"
_TOKEN = re.compile(rf"({_AROUND})(.*?)(%?{_AROUND})", re.DOTALL)
_WORD = r"(?:[A-Z]?[a-z]{1,19}|[A-Z]{1,20})"
_KEPT = re.compile(rf"(?:{_WORD}(?:[-'/:]{_WORD})*|\d{{1,4}}|[245]\.\d{{1,3}}\.\d{{1,3}})?")
_LIMIT = 2000  # characters of a text that are looked at


@dataclass(frozen=True, slots=True)
class Hidden:
    """What must not be repeated: a recipient's `names` (name, local part, domain), and the `secrets` of a login."""

    names: tuple[str, ...] = ()
    secrets: tuple[str, ...] = ()

    def out_of(self, words: str | bytes, limit: int = 200) -> str:
        """Return the beginning of a text on one line, with marks in place of whatever may be hidden."""
        text = _decoded(words)
        marks = dict.fromkeys(_parts(self.names), "[recipient]") | dict.fromkeys(_parts(self.secrets), "[secret]")
        return re.sub(r"…\](?: \[…\])+", "…]", " ".join(_shown(each, marks) for each in text.split()))[:limit]

    def names_out_of(self, words: str | bytes) -> str:
        """Return a text without addresses, and without what a recipient could choose: for decisions, not to show."""
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
    """Return the words of which the texts consist, as they are, without accents, and with other letters given up."""
    whole = {text.strip().casefold() for text in texts}
    parts: set[str] = set()
    for text in whole:
        plain = "".join(each for each in unicodedata.normalize("NFKD", text) if not unicodedata.combining(each))
        parts |= {part for part in re.split(r"[\W_]+", plain) + re.split("[^a-z0-9]+", text) if len(part) > 1}
    return (whole | parts) - {""}
