"""What a verification found."""

from dataclasses import dataclass, field
from typing import Literal
from uuid import UUID

Kind = Literal["edited", "deleted", "inserted", "broken", "truncated", "rewritten"]


@dataclass(frozen=True, slots=True)
class Finding:
    """The first sign of tampering. `row_id`, `event_id`: the first bad row, as far as it can be known."""

    kind: Kind
    detail: str
    seal: int | None = None
    row_id: int | None = None
    event_id: UUID | None = None


@dataclass(slots=True)
class Verified:
    """How far a verification came, and what it found.

    `waiting`: rows that no seal covers yet. `erased`: rows whose personal data was removed. `checkpoints`: how many
    were compared; None, if there was no file. `checkpoint_seal`: how far they reach.
    """

    rows: int = 0
    seals: int = 0
    waiting: int = 0
    erased: int = 0
    checkpoints: int | None = None
    checkpoint_seal: int = 0
    finding: Finding | None = None
    warnings: list[str] = field(default_factory=list)
