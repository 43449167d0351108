"""`subscribe_once`: turns a plain function into the consumer of a subscription whose effect can't be repeated.

For every AT_ONCE events of a message: claim their effects in one commit, call the function for each, and wait until all
of them are recorded. So a thread that dies leaves at most AT_ONCE effects in doubt. No thread holds a connection during
a call, and no call begins if its claim might run out before the call ends.

Dramatiq's time limit doesn't interrupt these calls: an interruption between a provider's acceptance and the record
would put an effect in doubt. The function must end by itself, within the ledger's `limit`. The subscription's time
limit is checked between two calls.
"""

import math
import threading
import time
from collections import deque
from collections.abc import Callable, Collection, Generator, Iterator, Mapping, Sequence
from typing import Generic
from uuid import UUID

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
"""The most effects that a thread claims together, and so the most that are in doubt when it dies."""

MARGIN = 1.0
"""A call begins only if its claim lasts this many seconds longer than the call may take."""

AGAIN_SECONDS = 60.0
"""Under `resend`, an effect in doubt is caused again after this time."""


def subscribe_once(
    broker: HeraldBroker,
    subscription: Subscription[DataT],
    handler: Callable[[Event[DataT], str], str | None],
    *,
    ledger: Ledger,
) -> Actor:
    """Declare the actor that calls `handler(event, key)` once for each event, by the effect ledger.

    `key` is the same in every attempt at an event: for providers that honour idempotency keys. The handler returns when
    the effect has happened, with the provider's reference to it or None. It raises TransientError or PermanentError if
    the effect has certainly not happened, and UncertainError if that is unknown. After any other exception, too, it is
    unknown; the effect is in doubt when its claim runs out.
    """
    if ledger.close not in broker.at_shutdown:  # two subscriptions may share a ledger
        broker.at_shutdown.append(ledger.close)
    return declare(
        broker, subscription, Once(broker.stopping, subscription, handler, ledger).results, time_limit=math.inf
    )


class Once(Generic[DataT]):
    """Causes the effects of one subscription, until `stopping` is set."""

    def __init__(
        self,
        stopping: threading.Event,
        subscription: Subscription[DataT],
        handler: Callable[[Event[DataT], str], str | None],
        ledger: Ledger,
    ) -> None:
        self._stopping = stopping
        self._subscription = subscription
        self._handler = handler
        self._ledger = ledger

    def results(self, attempts: Sequence[Attempt[DataT]]) -> Iterator[Result]:
        """Cause the effects of a message, and yield each attempt with its error; None, if the effect has happened."""
        deadline = time.monotonic() + self._subscription.time_limit
        waiting = deque({attempt.event.id: attempt for attempt in attempts}.values())
        end: Exception | None = None
        while waiting and end is None:
            if self._stopping.is_set():  # a claim might wait for the ledger for longer than a worker may take to stop
                end = HandedBack()
                break
            group = [waiting.popleft() for _ in range(min(AT_ONCE, len(waiting)))]
            end = yield from self._cause(group, deadline)
        yield from ((attempt, end) for attempt in waiting)

    def _cause(self, attempts: Sequence[Attempt[DataT]], deadline: float) -> Generator[Result, None, Exception | None]:
        """Claim, call and record. Return the error with which the rest of the message ends; None, if it goes on."""
        unbegun = {_claim(item): item for item in attempts}
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
                    yield from self._lost(unbegun, renewed=self._ledger.renew(list(unbegun)))
                    self._require_time(claimed_at)
                elif isinstance(error := self._call(unbegun, calls), Unavailable):
                    end = error
                    break
        except Exception as error:  # the ledger raised it
            end = error
        finally:
            if granted is not None or not is_undone(end):
                for claim in unbegun:
                    self._ledger.recorder.add(Ending(claim, "released"))
        yield from ((attempt, end) for attempt in unbegun.values())
        yield from self._recorded(calls)
        return end

    def _call(self, unbegun: dict[Claim, Attempt[DataT]], calls: list[Call]) -> BaseException | None:
        """Call the handler for the first attempt in `unbegun`, and return its error."""
        claim = next(iter(unbegun))
        calls.append(call(self._handler, unbegun.pop(claim), claim, self._ledger))
        return calls[-1].error

    def _refused(self, unbegun: dict[Claim, Attempt[DataT]], granted: Collection[UUID]) -> Iterator[Result]:
        """Drop attempts whose effect couldn't be claimed: it is done, claimed by another attempt, or held."""
        refused = [claim for claim in unbegun if claim.token not in granted]
        if refused:
            reasons = self._ledger.look(refused)
            yield from [(unbegun.pop(claim), reasons[claim.event_id]) for claim in refused]

    def _lost(self, unbegun: dict[Claim, Attempt[DataT]], renewed: Collection[UUID]) -> Iterator[Result]:
        """Drop attempts whose effect another attempt has claimed meanwhile."""
        lost = [claim for claim in unbegun if claim.token not in renewed]
        yield from [(unbegun.pop(claim), ClaimLost()) for claim in lost]

    def _recorded(self, calls: Sequence[Call]) -> Iterator[Result]:
        """Wait until calls are recorded, and yield their results."""
        added = {call.ending: call.recorded for call in calls if call.ending and call.recorded}
        doubts = self._ledger.recorder.wait(added, self._stopping) if added else {}
        for ended in calls:
            yield ended.attempt, self._end(ended, ended.ending, doubts) if ended.ending else ended.error

    def _end(self, ended: Call, ending: Ending, recorded: Mapping[Ending, int | None]) -> BaseException | str | None:
        """Return how a call ended, once its ending is recorded: its error, or the provider's reference."""
        doubts = recorded[ending]
        if ended.error is None:
            return ClaimLost() if doubts is None else ending.reference
        again = self._ledger.uncertain == "resend" and doubts is not None and doubts < MAX_DOUBTS
        if again and isinstance(ended.error, UncertainError):
            return RetryLater(f"{ended.error} (it is tried again in a minute, by the policy `resend`)", AGAIN_SECONDS)
        return ended.error

    def _over(self, deadline: float) -> Exception | None:
        """Return why no further call may begin; None, if one may."""
        over = self._stopping.is_set() or self._ledger.recorder.is_dead or time.monotonic() > deadline
        return HandedBack() if over else None

    def _has_time(self, claimed_at: float) -> bool:
        """Return whether a call that begins now ends before its claim runs out."""
        return claimed_at + self._ledger.lease - time.monotonic() >= self._ledger.limit + MARGIN

    def _require_time(self, claimed_at: float) -> None:
        if not self._has_time(claimed_at):
            raise LedgerSlow(f"the effect ledger took {time.monotonic() - claimed_at:.1f} s to renew claims")


def _claim(attempt: Attempt[DataT]) -> Claim:
    return Claim(
        attempt.event.id,
        attempt.subscription,
        attempt.generation,
        publisher=attempt.publisher,
        dispatch=attempt.dispatch,
    )
