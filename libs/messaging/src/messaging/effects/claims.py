"""What the parts of the effect ledger exchange: a claim, and how the claimed effect ended."""

from dataclasses import dataclass, field
from typing import Literal
from uuid import UUID, uuid4


@dataclass(frozen=True, slots=True)
class Claim:
    """One attempt's right to cause one effect. `generation`: how often an operator has retried its delivery.

    `publisher` and `dispatch`: where a receipt about the attempt goes, and its fencing token.
    """

    event_id: UUID
    subscription: str
    generation: int
    token: UUID = field(default_factory=uuid4)
    publisher: str = ""
    dispatch: int = 0


@dataclass(frozen=True, slots=True)
class Ending:
    """How a claimed effect ended: done, certainly not done (released), or unknown (uncertain).

    `reference`: what the handler returned. `evidence`: what is known about an uncertain effect.
    """

    claim: Claim
    how: Literal["done", "released", "uncertain"]
    reference: str | None = None
    evidence: str | None = None
