"""The table `effects`, in the consumer's own database: claim an effect, cause it, record how that ended.

    (no row) ──claim──► claimed ──► done        (the handler returned)
                          │  ▲────► released    (certainly not done; any attempt may claim it)
                          │  └────► uncertain   (it is unknown whether the effect happened)
                          └ runs out: its worker died, or the handler raised an unknown error
    any state ──confirm──► done               (an operator says that the effect has happened)

After the provider has accepted an effect, and until that is recorded, nothing shows that the effect happened. A claim
runs out if its worker dies in that time, or before the provider has accepted. Then the operator's choice decides:
`resend` lets another attempt claim the effect (at least once); `hold` reports the effect as uncertain until an operator
retries it (at most once). After MAX_DOUBTS attempts without an answer `resend` leaves it to an operator too, because
a provider that is merely slow would otherwise receive copies for ever.
"""

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Literal, LiteralString
from uuid import UUID

import psycopg
import structlog
from psycopg_pool import PoolTimeout

from contracts import EffectConfirmed
from messaging.effects.claims import Claim, Ending
from messaging.effects.recorder import Recorder
from messaging.effects.statements import CLAIM, CONFIRM, LOOK, RECORD, RENEW
from messaging.errors import EffectHeld, MessagingError, RetryLater
from messaging.process.database import open_pool

Uncertain = Literal["resend", "hold"]

SETTINGS: tuple[LiteralString, ...] = (
    "plan_cache_mode = force_generic_plan",
    "enable_seqscan = off",
    "lock_timeout = 2000",
)
"""Settings of the ledger's connections. Planning takes longer than executing, so each connection plans each statement
once. The plan must use the index, even if the table was small enough to be read whole when it was last analysed. A
stopping worker waits for a locked table no longer than two seconds at a time."""

MAX_DOUBTS = 3
"""After this many attempts without an answer, `resend` doesn't cause the effect again until an operator retries it."""

SLACK = 5.0
"""Seconds by which a claim lasts longer than one call of the handler may take."""

DIED = "an earlier attempt ended without reporting a result"
"""The evidence, if a claim ran out."""

SLOW_SECONDS = 1.0
"""A statement that takes longer is logged, to show that the ledger delays the effects, and not their provider."""

log: structlog.stdlib.BoundLogger = structlog.get_logger("effects")


class Ledger:
    """The effects of one consumer. It opens its connections in the background, and doesn't wait for PostgreSQL.

    `limit`: the most seconds that one call of a handler may take. `uncertain`: what to do if it is unknown whether an
    effect happened. `recorder`: records endings, for all threads of the process.
    """

    def __init__(self, database_url: str, *, limit: float, uncertain: Uncertain) -> None:
        self.limit = limit
        self.lease = limit + SLACK
        self.uncertain = uncertain
        self._pool = open_pool(database_url, size=8, name="effects", settings=SETTINGS)
        # The recorder has a connection of its own, so that it never waits for a thread that is claiming.
        self._recording = open_pool(database_url, size=1, name="recorder", settings=SETTINGS)
        self.recorder = Recorder(self.record)

    def claim(self, claims: Sequence[Claim]) -> set[UUID]:
        """Claim effects, each event at most once in `claims`; return the tokens of those that were granted.

        Raises:
            psycopg.Error: unless `is_undone`, they may have been granted. Release them.
        """
        return self._tokens("claim", CLAIM, self._wanted(claims) | {"lease": self.lease})

    def renew(self, claims: Sequence[Claim]) -> set[UUID]:
        """Renew claims; return the tokens of those that no other attempt has taken over.

        Raises:
            psycopg.Error: the claims may have been renewed or not.
        """
        return self._tokens("renew", RENEW, _named(claims) | {"lease": self.lease})

    def look(self, claims: Sequence[Claim]) -> dict[UUID, MessagingError | str | None]:
        """Return why effects of one subscription couldn't be claimed, by event id.

        The provider's reference or None, if the effect is done; RetryLater, if another attempt has claimed it;
        EffectHeld.

        Raises:
            psycopg.Error: the ledger is unreachable.
        """
        with self._pool.connection() as connection:
            rows = connection.execute(LOOK, self._wanted(claims) | _whence(claims) | {"evidence": DIED}).fetchall()
        states = {event_id: (state, seconds, reference) for event_id, state, seconds, reference in rows}
        return {claim.event_id: reason(*states.get(claim.event_id, ("released", 0.0, None))) for claim in claims}

    def record(self, endings: Sequence[Ending]) -> dict[UUID, int]:
        """Record endings; return, by token, the doubts of effects that are done or uncertain.

        A token of such an ending is absent from the result if another attempt has claimed its effect.

        Raises:
            psycopg.Error: the endings may have been recorded or not. Record them again.
        """
        parameters: dict[str, Any] = {}
        for how in ("done", "uncertain", "released"):
            claims = [ending.claim for ending in endings if ending.how == how]
            parameters[how] = [claim.token for claim in claims]
            parameters[f"{how}_events"] = [claim.event_id for claim in claims]
        uncertain = [ending for ending in endings if ending.how == "uncertain"]
        parameters |= _whence([ending.claim for ending in uncertain])
        parameters["evidence"] = [ending.evidence for ending in uncertain]
        parameters["references"] = [ending.reference for ending in endings if ending.how == "done"]
        with _timed("record"), self._recording.connection() as connection:
            return dict(connection.execute(RECORD, parameters, prepare=True).fetchall())

    def confirm(self, effects: Sequence[EffectConfirmed]) -> None:
        """Record effects as done that operators have confirmed, so that no attempt claims them any more.

        Raises:
            psycopg.Error: the ledger is unreachable, or another transaction locks it.
        """
        named = {
            "event_ids": [effect.event_id for effect in effects],
            "subscriptions": [effect.subscription for effect in effects],
        }
        with _timed("confirm"), self._pool.connection() as connection:
            connection.execute(CONFIRM, named)

    def close(self) -> None:
        """Record what is left, and close all connections."""
        self.recorder.close()
        self._pool.close(timeout=1)
        self._recording.close(timeout=1)

    def _wanted(self, claims: Sequence[Claim]) -> dict[str, Any]:
        subscriptions = [claim.subscription for claim in claims]
        generations = [claim.generation for claim in claims]
        policy = {"resend": self.uncertain == "resend", "max_doubts": MAX_DOUBTS}
        return _named(claims) | policy | {"subscriptions": subscriptions, "generations": generations}

    def _tokens(self, step: str, statement: LiteralString, parameters: dict[str, Any]) -> set[UUID]:
        with _timed(step), self._pool.connection() as connection:
            return {token for (token,) in connection.execute(statement, parameters, prepare=True)}


def _named(claims: Sequence[Claim]) -> dict[str, Any]:
    return {"event_ids": [claim.event_id for claim in claims], "tokens": [claim.token for claim in claims]}


def _whence(claims: Sequence[Claim]) -> dict[str, Any]:
    return {"publishers": [claim.publisher for claim in claims], "dispatches": [claim.dispatch for claim in claims]}


def reason(state: str, seconds: float, reference: str | None) -> MessagingError | str | None:
    """Return why an effect can't be claimed; its reference, if it is done. `seconds`: until its claim runs out."""
    if state == "done":
        return reference
    if state == "released" or (state == "claimed" and seconds > 0):
        reason = "another attempt has claimed this effect; it is still at work, or its worker died meanwhile"
        return RetryLater(reason, after=max(0.0, seconds) + 0.1)
    return EffectHeld(f"{DIED}; the effect may have happened")


def is_undone(error: BaseException | None) -> bool:
    """Return whether a statement that raised this has certainly changed nothing: PostgreSQL refused or never got it."""
    if isinstance(error, PoolTimeout):
        return True
    return isinstance(error, psycopg.Error) and error.sqlstate is not None and not error.sqlstate.startswith("57")


@contextmanager
def _timed(step: str) -> Iterator[None]:
    """Log a statement that is slow or fails, so that the provider isn't blamed for it."""
    began = time.monotonic()
    try:
        yield
    except psycopg.Error as error:
        log.warning("ledger.failed", step=step, error=str(error).strip())
        raise
    finally:
        seconds = time.monotonic() - began
        if seconds > SLOW_SECONDS:
            log.warning("ledger.slow", step=step, seconds=round(seconds, 1))
