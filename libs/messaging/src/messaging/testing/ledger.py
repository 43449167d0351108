"""The effect ledger in memory: each statement of `messaging.effects.ledger`, in Python instead of SQL."""

import time
from collections.abc import Collection, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from uuid import UUID, uuid4

from contracts import EffectConfirmed
from messaging.effects.claims import Claim, Ending
from messaging.effects.ledger import DIED, MAX_DOUBTS, SLACK, Ledger, Uncertain, reason
from messaging.effects.recorder import Doubts, Recorder
from messaging.errors import MessagingError

_OPEN = {"released": ["claimed"], "uncertain": ["claimed", "uncertain"]}
"""The states of an effect in which an ending is recorded. `done` is recorded in every state."""


@dataclass(slots=True)
class Effect:
    """A row of the table `effects`."""

    state: str
    claim: UUID
    claimed_until: float
    generation: int
    doubts: int = 0
    reference: str | None = None
    evidence: str | None = None


class MemoryLedger(Ledger):
    """A ledger without a database, for `deliver_once`. `effects`: its rows, by event id and subscription."""

    def __init__(self, *, limit: float = 10.0, uncertain: Uncertain = "resend") -> None:
        self.limit = limit
        self.lease = limit + SLACK
        self.uncertain = uncertain
        self.recorder = _Immediately(self.record)
        self.effects: dict[tuple[UUID, str], Effect] = {}
        self._passed = 0.0

    def pass_time(self, seconds: float) -> None:
        """Let time pass for its claims: after `lease` seconds a claim runs out, as after a crash."""
        self._passed += seconds

    def claim(self, claims: Sequence[Claim]) -> set[UUID]:
        """Claim effects; return the tokens of those that were granted."""
        return {claim.token for claim in claims if self._claim(claim)}

    def renew(self, claims: Sequence[Claim]) -> set[UUID]:
        """Renew claims; return the tokens of those that no other attempt has taken over."""
        renewed = [effect for effect in self._held_by(claims) if effect.state == "claimed"]
        for effect in renewed:
            effect.claimed_until = self._now() + self.lease
        return {effect.claim for effect in renewed}

    def look(self, claims: Sequence[Claim]) -> dict[UUID, MessagingError | str | None]:
        """Return why effects couldn't be claimed."""
        return {claim.event_id: self._look(claim) for claim in claims}

    def record(self, endings: Sequence[Ending]) -> dict[UUID, int]:
        """Record endings; return the doubts of those that are done or uncertain, by token."""
        recorded = {}
        for ending in endings:
            for effect in self._held_by([ending.claim]):
                if self._record(effect, ending) and ending.how != "released":
                    recorded[effect.claim] = effect.doubts
        return recorded

    def confirm(self, effects: Sequence[EffectConfirmed]) -> None:
        """Record effects as done that operators have confirmed."""
        for effect in effects:
            key = effect.event_id, effect.subscription
            self.effects.setdefault(key, Effect("done", uuid4(), self._now(), 0)).state = "done"

    def close(self) -> None:
        """Do nothing: there is nothing to close."""

    def _now(self) -> float:
        return time.monotonic() + self._passed

    def _held_by(self, claims: Collection[Claim]) -> list[Effect]:
        pairs = ((self.effects.get((claim.event_id, claim.subscription)), claim.token) for claim in claims)
        return [effect for effect, token in pairs if effect and effect.claim == token]

    def _claim(self, claim: Claim) -> bool:
        key = claim.event_id, claim.subscription
        before = self.effects.get(key)
        if before and not self._may_be_claimed(before, claim):
            return False
        after = Effect("claimed", claim.token, self._now() + self.lease, claim.generation)
        if before:
            ran_out = before.state == "claimed" and before.claim != claim.token
            after.doubts = 0 if before.generation < claim.generation else before.doubts + ran_out
            after.generation = max(before.generation, claim.generation)
            after.reference, after.evidence = before.reference, before.evidence
        self.effects[key] = after
        return True

    def _may_be_claimed(self, effect: Effect, claim: Claim) -> bool:
        if effect.claim == claim.token or effect.state == "released":
            return True
        if effect.state == "done" or effect.claimed_until > self._now():
            return False
        doubts = effect.doubts + (effect.state == "claimed")
        return effect.generation < claim.generation or (self.uncertain == "resend" and doubts < MAX_DOUBTS)

    def _look(self, claim: Claim) -> MessagingError | str | None:
        effect = self.effects.get((claim.event_id, claim.subscription))
        if effect is None or self._may_be_claimed(effect, claim):
            return reason("released", 0.0, None)
        seconds = effect.claimed_until - self._now()
        why = reason(effect.state, seconds, effect.reference)
        if effect.state == "claimed" and seconds <= 0:
            effect.state = "uncertain"
            effect.doubts += 1
            effect.evidence = DIED
        return why

    def _record(self, effect: Effect, ending: Ending) -> bool:
        if ending.how == "done":
            effect.state, effect.reference = "done", ending.reference
            return True
        if effect.state not in _OPEN[ending.how]:
            return False
        effect.doubts += ending.how == "uncertain" and effect.state == "claimed"
        effect.state, effect.claimed_until = ending.how, self._now()
        effect.evidence = ending.evidence if ending.how == "uncertain" else effect.evidence
        return True


class _Immediately(Recorder):
    """Records each ending in the thread that adds it, so that a test needn't wait for a recorder thread."""

    def add(self, ending: Ending) -> "Future[Doubts]":
        """Record an ending."""
        future: Future[Doubts] = Future()
        future.set_result(self._record([ending]).get(ending.claim.token))
        return future
