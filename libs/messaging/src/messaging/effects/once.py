"""`subscribe_once`: a plain function becomes the consumer of a subscription whose effect can't be repeated.

For each ten events of a message: claim their effects in one commit, call the function for each, wait until all of them
are recorded. So a thread that dies leaves at most ten effects in doubt. No connection is held during a call, and none
is begun with less time left of its claim than a call may take.

Dramatiq's time limit doesn't interrupt these calls: between a provider's acceptance and the record an interruption
would put an effect in doubt. A function ends by itself, within the ledger's `limit`; the message's own time limit is
checked between two calls.
"""

import math
import time
from collections import deque
from collections.abc import Callable, Collection, Generator, Iterator, Sequence
from typing import Generic
from uuid import UUID

from dramatiq import Broker, Middleware, Worker

from contracts import Event, Subscription
from contracts.envelope import DataT
from messaging.consuming.broker import HeraldBroker
from messaging.consuming.outcomes import Result
from messaging.consuming.subscriber import Actor, declare
from messaging.effects.call import Call, call
from messaging.effects.claims import Claim, Ending
from messaging.effects.ledger import MAX_DOUBTS, Ledger, is_undone
from messaging.errors import ClaimLost, HandedBack, LedgerSlow, RetryLater, Unavailable, UncertainError
from messaging.wire.message import Attempt

AT_ONCE = 10
"""Effects that a thread claims together: at most so many are in doubt when it dies."""

MARGIN = 1.0
"""Seconds between the latest end of a call and the end of its claim."""

AGAIN_SECONDS = 60.0
"""After which an effect in doubt is caused again under `resend`."""


def subscribe_once(
    broker: HeraldBroker,
    subscription: Subscription[DataT],
    handler: Callable[[Event[DataT], str], str | None],
    *,
    ledger: Ledger,
) -> Actor:
    """Declare the actor that calls `handler(event, key)` once for each event, by the effect ledger.

    `key` is the same whenever the event comes: for providers that honour idempotency keys. The handler returns when
    the effect has happened, perhaps with the provider's reference to it. It raises TransientError or PermanentError if
    the effect has certainly not happened, UncertainError if nobody can know; so any other exception is understood.
    """
    broker.add_middleware(_Closing(ledger))
    return declare(broker, subscription, Once(broker, subscription, handler, ledger).results, time_limit=math.inf)


class Once(Generic[DataT]):
    """Causes the effects of one subscription."""

    def __init__(
        self,
        broker: HeraldBroker,
        subscription: Subscription[DataT],
        handler: Callable[[Event[DataT], str], str | None],
        ledger: Ledger,
    ) -> None:
        self._stopping = broker.stopping
        self._subscription = subscription
        self._handler = handler
        self._ledger = ledger

    def results(self, attempts: Sequence[Attempt[DataT]]) -> Iterator[Result]:
        """Cause the effects of a message, and yield each attempt with its error: None, if the effect has happened."""
        deadline = time.monotonic() + self._subscription.time_limit
        waiting = deque({attempt.event.id: attempt for attempt in attempts}.values())
        end: Exception | None = None
        while waiting and end is None:
            some = [waiting.popleft() for _ in range(min(AT_ONCE, len(waiting)))]
            end = yield from self._cause(some, deadline)
        yield from ((attempt, end) for attempt in waiting)

    def _cause(self, attempts: Sequence[Attempt[DataT]], deadline: float) -> Generator[Result, None, Exception | None]:
        """Claim, call and record. Return the error with which the rest of the message ends, if it does."""
        unbegun = {Claim(each.event.id, each.subscription, each.generation): each for each in attempts}
        calls: list[Call] = []
        granted: Collection[UUID] | None = None
        end: Exception | None = None
        try:
            claimed_at = time.monotonic()
            granted = self._ledger.claim(list(unbegun))
            yield from self._refused(unbegun, granted)
            while unbegun and not (end := self._over(deadline)):
                if not self._has_time(claimed_at):
                    claimed_at = time.monotonic()
                    yield from self._lost(unbegun, self._ledger.renew(list(unbegun)))
                    self._require_time(claimed_at)
                elif isinstance(error := self._call(unbegun, calls), Unavailable):
                    end = error
                    break
        except Exception as error:  # the ledger's
            end = error
        finally:
            if granted is not None or not is_undone(end):
                for claim in unbegun:
                    self._ledger.recorder.add(Ending(claim, "released"))
        yield from ((attempt, end) for attempt in unbegun.values())
        yield from self._recorded(calls)
        return end

    def _call(self, unbegun: dict[Claim, Attempt[DataT]], calls: list[Call]) -> BaseException | None:
        """Call the handler for the first that is unbegun, and return its error."""
        claim = next(iter(unbegun))
        calls.append(call(self._handler, unbegun.pop(claim), claim, self._ledger))
        return calls[-1].error

    def _refused(self, unbegun: dict[Claim, Attempt[DataT]], granted: Collection[UUID]) -> Iterator[Result]:
        """Drop what couldn't be claimed: it is done already, another attempt has it, or an operator decides."""
        refused = [claim for claim in unbegun if claim.token not in granted]
        if refused:
            reasons = self._ledger.look(self._subscription.name, [claim.event_id for claim in refused])
            yield from [(unbegun.pop(claim), reasons[claim.event_id]) for claim in refused]

    def _lost(self, unbegun: dict[Claim, Attempt[DataT]], ours: Collection[UUID]) -> Iterator[Result]:
        """Drop what another attempt has claimed meanwhile."""
        lost = [claim for claim in unbegun if claim.token not in ours]
        yield from [(unbegun.pop(claim), ClaimLost()) for claim in lost]

    def _recorded(self, calls: Sequence[Call]) -> Iterator[Result]:
        """Wait until calls are recorded, and yield their results."""
        added = {call.ending: call.recorded for call in calls if call.ending and call.recorded}
        doubts = self._ledger.recorder.wait(added, self._stopping) if added else {}
        for each in calls:
            yield each.attempt, self._error(each, doubts[each.ending]) if each.ending else each.error

    def _error(self, ended: Call, doubts: int | None) -> BaseException | None:
        """Return the error of a call, now that its ending is recorded: None in `doubts`, if another attempt has it."""
        if ended.error is None:
            return ClaimLost() if doubts is None else None
        again = self._ledger.uncertain == "resend" and doubts is not None and doubts < MAX_DOUBTS
        if again and isinstance(ended.error, UncertainError):
            return RetryLater(f"{ended.error} (it is tried again in a minute, by the policy `resend`)", AGAIN_SECONDS)
        return ended.error

    def _over(self, deadline: float) -> Exception | None:
        """Return why no further call may begin, if none may."""
        over = self._stopping.is_set() or self._ledger.recorder.is_dead or time.monotonic() > deadline
        return HandedBack() if over else None

    def _has_time(self, claimed_at: float) -> bool:
        """Tell whether a call that begins now ends before its claim does."""
        return claimed_at + self._ledger.lease - time.monotonic() >= self._ledger.limit + MARGIN

    def _require_time(self, claimed_at: float) -> None:
        if not self._has_time(claimed_at):
            raise LedgerSlow(f"the effect ledger took {time.monotonic() - claimed_at:.1f} s to prolong claims")


class _Closing(Middleware):
    """Records what is left when the worker has stopped."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    def after_worker_shutdown(self, broker: Broker, worker: Worker) -> None:
        self._ledger.close()
