"""One call of a handler through the effect ledger, and what its result says about the effect."""

import time
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any

import structlog

from messaging.consuming.subscriber import bound
from messaging.effects.claims import Claim, Ending
from messaging.effects.ledger import Ledger
from messaging.errors import PermanentError, TransientError, UncertainError
from messaging.wire.message import Attempt
from messaging.wire.receipt import clean, describe

log: structlog.stdlib.BoundLogger = structlog.get_logger("effects")


@dataclass(frozen=True, slots=True)
class Call:
    """A call that has ended.

    `ending`: what to record. `recorded`: the recorder's result. Both are None if the call raised an unknown error: then
    the claim has to run out.
    """

    attempt: Attempt[Any]
    error: BaseException | None
    ending: Ending | None = None
    recorded: "Future[int | None] | None" = None


def call(handler: Callable[..., str | None], attempt: Attempt[Any], claim: Claim, ledger: Ledger) -> Call:
    """Call a handler, and let the recorder record how the effect ended."""
    began = time.monotonic()
    error, ending = _ending(handler, attempt, claim)
    recorded = ledger.recorder.add(ending) if ending else None
    seconds = time.monotonic() - began
    if seconds > ledger.limit:
        log.warning("handler.overran", event_id=str(claim.event_id), seconds=round(seconds, 1), limit=ledger.limit)
    return Call(attempt.begun(began), error, ending, recorded)


def _ending(
    handler: Callable[..., str | None], attempt: Attempt[Any], claim: Claim
) -> tuple[BaseException | None, Ending | None]:
    try:
        with bound(attempt):
            reference = handler(attempt.event, f"{claim.subscription}.{claim.event_id}")
    except (TransientError, PermanentError) as error:
        return error, Ending(claim, "released")
    except UncertainError as error:
        return error, Ending(claim, "uncertain", evidence=describe(error))
    except BaseException as error:  # returned, classified and reported
        return error, None
    return None, Ending(claim, "done", clean(reference) if isinstance(reference, str) else None)
