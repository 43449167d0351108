"""Errors that differ only in numbers, ids, addresses, hosts or quoted texts are one group.

A group is the error with placeholders: `550 5.1.1 <address>: no such user`. It is a filter too: `matching` turns it
into patterns that PostgreSQL applies. So a pattern here is one that Python and PostgreSQL read alike: none of the
classes and boundaries that PostgreSQL spells otherwise or reads by the database's locale, and nothing non-greedy.
"""

import re
from typing import NamedTuple

_START, _END = "(?<![A-Za-z0-9_])", "(?![A-Za-z0-9_])"

_WORDS = {
    "uuid": f"[0-9A-Fa-f]{{8}}-(?:[0-9A-Fa-f]{{4}}-){{3}}[0-9A-Fa-f]{{12}}{_END}",
    "url": "https?://[^ \"'<>]+",
    "quoted": f"(?:\"[^\"]*\"|'[^']*'){_END}",
    "address": f"[A-Za-z0-9_][A-Za-z0-9_.+-]*@(?:[A-Za-z0-9-]+[.])*[A-Za-z0-9-]+{_END}",
    "host": (
        "(?:(?:(?:[0-9]{1,3}[.]){3}[0-9]{1,3}|(?:[a-z0-9-]+[.]){2,}[a-z]{2,})(?::[0-9]+)?|[a-z0-9][a-z0-9.-]*:[0-9]{2,5})"
        f"{_END}"
    ),
    "id": f"(?=[A-Za-z_-]*[0-9])[A-Za-z0-9_-]{{12,}}{_END}",
}
"""What begins where a word begins, in the order in which they are tried."""

_NUMBER = "[0-9]+(?:[.][0-9]+)*"

_KEPT = "(?:[2-5][0-9][0-9]|[245][.][0-9]{1,3}[.][0-9]{1,3})(?![A-Za-z0-9_.]*[A-Za-z0-9_])"
"""What an answer of SMTP or HTTP begins with: `550`, `5.1.1`. These numbers say what is wrong."""

_PLACEHOLDERS = {name: _START + pattern for name, pattern in _WORDS.items()} | {"number": _NUMBER}
_ANY = re.compile(
    f"{_START}(?:(?P<kept>{_KEPT})|{'|'.join(f'(?P<{name}>{pattern})' for name, pattern in _WORDS.items())})"
    f"|(?P<number>{_NUMBER})"
)
_PLACEHOLDER = re.compile(f"<({'|'.join(_PLACEHOLDERS)})>")


class Patterns(NamedTuple):
    """What an error of a group looks like: `like` as LIKE has it, which is quick, and `regex`, which is exact."""

    like: str
    regex: str


def group_of(error: str | None) -> str:
    """Return the group of an error. Deliveries without an error are a group too, named by the empty text."""
    return _ANY.sub(_replaced, error or "")


def matching(group: str) -> Patterns:
    """Return the patterns that the errors of a group match."""
    parts = _PLACEHOLDER.split(group)
    literals, names = parts[::2], [*parts[1::2], None]
    regex = "".join(
        re.escape(literal) + (f"(?:<{name}>|{_PLACEHOLDERS[name]})" if name else "")  # an error can say <name> itself
        for literal, name in zip(literals, names, strict=True)
    )
    return Patterns("%".join(map(escape_like, literals)), f"^{regex}$")


def has_details(group: str) -> bool:
    """Return whether a group's errors differ. Otherwise `like` is exact by itself."""
    return _PLACEHOLDER.search(group) is not None


def escape_like(text: str) -> str:
    """Return a text as LIKE has it: each character for itself."""
    return re.sub(r"([\\%_])", r"\\\1", text)


def _replaced(found: re.Match[str]) -> str:
    return found[0] if found.lastgroup == "kept" else f"<{found.lastgroup}>"
