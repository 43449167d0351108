"""What a check found."""

from typing import Literal, NamedTuple

Verdict = Literal["ok", "look", "wrong"]


class Finding(NamedTuple):
    """What was checked, how it is, and what to do about it."""

    check: str
    verdict: Verdict
    found: str
    remedy: str = ""
