"""What a verification found."""

from dataclasses import dataclass, field
from datetime import datetime
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


@dataclass(frozen=True, slots=True)
class Erased:
    """A recorded erasure: the row that records it, when that row was written, and the rows that it names."""

    row_id: int
    event_id: UUID
    recorded_at: datetime
    erased: list[int]


@dataclass(slots=True)
class Verified:
    """How far a verification came, and what it found.

    `waiting`: rows that no seal covers yet. `erased`: rows whose personal data was removed. `erasures`: what
    removed it, for a comparison with the requests. `checkpoints`: how many were compared; None, if there was no file.
    `checkpoint_seal`: how far they reach.
    """

    rows: int = 0
    seals: int = 0
    waiting: int = 0
    erased: int = 0
    erasures: list[Erased] = field(default_factory=list)
    checkpoints: int | None = None
    checkpoint_seal: int = 0
    finding: Finding | None = None
    warnings: list[str] = field(default_factory=list)
