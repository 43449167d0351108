"""A round: the mails that a thread has claimed and not yet settled, ten at most, and what the ledger has to be told.

Invariant: a mail is in `unsent` only while its claim is ours as far as anyone knows, and leaves `done` only when the
ledger knows what became of it, or can't be told.
"""

import math
import time
from collections import deque
from collections.abc import Sequence
from typing import Literal, NamedTuple
from uuid import UUID

import structlog

from messaging import Delivery, RetryLater, Settled
from notifier.errors import ClaimLost
from notifier.ledger import Claim, Ledger

KEEP_AFTER = 1.0
"""Seconds after which claims are prolonged before another mail is begun."""

log: structlog.stdlib.BoundLogger = structlog.get_logger("notifier")


class Done(NamedTuple):
    """A mail that no one works on any more. `then`: what the ledger is to do about it.

    Nothing, where an attempt broke off in the middle: nobody knows, and its claim runs out.
    """

    delivery: Delivery
    error: BaseException | None
    then: Literal["record", "release", "doubt", "nothing"]


class Round:
    """One attempt's claims. `sending`: the first of `unsent` is on its way.

    `since`: when the first mail was begun that is sent and not recorded; infinite, if there is none.
    """

    def __init__(self, kind: str, ledger: Ledger) -> None:
        self.unsent: deque[Delivery] = deque()
        self.done: list[Done] = []
        self.sending = False
        self.since = math.inf
        self._claim = Claim(kind)
        self._ledger = ledger
        self._asked = 0.0

    def seconds_left(self) -> float:
        """How long the claims last from now, at least."""
        return self._asked + self._ledger.lease - time.monotonic()

    def is_old(self) -> bool:
        """Tell whether claims should be prolonged, so that each mail has all of its time."""
        return bool(self.unsent) and time.monotonic() - self._asked > KEEP_AFTER

    def events(self, then: str) -> list[UUID]:
        """Return of which mails the ledger is to be told so."""
        return [done.delivery.event.id for done in self.done if done.then == then]

    def end(self, done: Done, began: float) -> None:
        """End what is on its way."""
        if done.then == "record":
            self.since = min(self.since, began)
        self.done.append(done)
        self.unsent.popleft()
        self.sending = False

    def give_up(self, error: BaseException) -> None:
        """End what isn't begun; and what is on its way, as it is."""
        thens: list[Literal["nothing", "release"]] = ["nothing"] if self.sending else []
        thens += ["release"] * (len(self.unsent) - len(thens))
        self.done += [Done(each, error, then) for each, then in zip(self.unsent, thens, strict=True)]
        self.unsent.clear()
        self.sending = False

    def write(self, wanted: Sequence[Delivery] = (), *, timeout: float | None = None) -> list[Settled]:
        """Tell the ledger what became of mails, claim more, and return what is settled. If it raises, nothing moved.

        Usually one statement. `wanted`: to be claimed, once nothing is left unsent.
        """
        asked = time.monotonic()
        kept = [each.event.id for each in self.unsent] if self.is_old() else []
        sent, new = self.events("record"), {each.event.id: each.generation for each in wanted}
        ours: set[UUID] = set()
        if sent or kept or new:
            ours = self._ledger.settle(self._claim, sent=sent, kept=kept, wanted=new, timeout=timeout)
        again = self._tell_failures()
        others = new.keys() - ours
        fates = self._ledger.look(self._claim, others) if others else {}
        settled = [(done.delivery, _verdict(done, ours, again)) for done in self.done]
        self.done, self.since = [], math.inf
        if kept or new:
            self._asked = asked
            settled += self._lost(ours) if kept else []
            self.unsent += [each for each in wanted if each.event.id in ours]
        return settled + [(each, fates[each.event.id]) for each in wanted if each.event.id in fates]

    def leave_untold(self) -> list[Settled]:
        """Return what is settled without telling the ledger: sent is sent, and only a lost receipt puts it in doubt."""
        for event_id in self.events("record"):
            log.warning("mail.sent_but_not_recorded", event_id=str(event_id))
        settled = [(done.delivery, done.error) for done in self.done]
        self.done, self.since = [], math.inf
        return settled

    def _tell_failures(self) -> set[UUID]:
        """Return those in doubt that are sent again without asking anyone."""
        released, doubted = self.events("release"), self.events("doubt")
        if released:
            self._ledger.release(self._claim, released)
        return self._ledger.doubt(self._claim, doubted) if doubted else set()

    def _lost(self, ours: set[UUID]) -> list[Settled]:
        """Drop what another attempt has taken over. What is on its way stays: its record will tell."""
        begun = 1 if self.sending else 0
        lost = [each for each in list(self.unsent)[begun:] if each.event.id not in ours]
        for each in lost:
            self.unsent.remove(each)
        return [(each, ClaimLost("another attempt has taken over this mail")) for each in lost]


def _verdict(done: Done, ours: set[UUID], again: set[UUID]) -> BaseException | None:
    """Say how the attempt ended, now that the ledger has been told."""
    event_id = done.delivery.event.id
    if done.then == "record" and event_id not in ours:
        return ClaimLost("the mail was sent after its claim had expired; another attempt owns it now")
    if done.then == "doubt" and event_id in again:
        return RetryLater(f"{done.error} (it is sent again in a minute, because NOTIFIER_UNCERTAIN=resend)", after=60)
    return done.error
