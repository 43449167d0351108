"""An attempt to send many mails: claim ten, send them one after another, record them and claim the next ten.

Invariant: in a thread at most ten mails are claimed and not recorded, so no more can be in doubt when it dies. What is
sent is recorded 50 ms after its sending began, if only the server has answered by then; even while it lets the next
mail wait (`Errand`). No connection to PostgreSQL is held while mailing.

Every delivery has exactly one outcome. One that goes wrong takes no other with it, unless the server is away for all.
"""

import math
import time
from collections import deque
from collections.abc import Iterator, Sequence
from itertools import islice

import psycopg

from messaging import Delivery, HandedBack, Settled
from notifier.drafts import Compose, Drafts
from notifier.email import Mail
from notifier.errors import MailDeferred, MailRefused, MailUncertain, ServerAway
from notifier.ledger import Ledger
from notifier.round import Done, Round
from notifier.smtp import Mailer

AT_ONCE = 10
"""So many mails are claimed together: as many can be in doubt when this thread dies."""

UNRECORDED = 0.05
"""Seconds from the beginning of the first mail that isn't recorded until it is."""

MARGIN = 1.0
"""Seconds between the end of sending and the end of the claim."""

PATIENCE = 300.0
"""Seconds for which recording is tried. Nobody else tries meanwhile: the message stays here, and our heart beats."""


class Attempt:
    """One thread's attempt at a message. `compose` writes a delivery's mail."""

    def __init__(
        self, kind: str, deliveries: Sequence[Delivery], compose: Compose, *, ledger: Ledger, mailer: Mailer
    ) -> None:
        self._queue = deque({delivery.event.id: delivery for delivery in deliveries}.values())
        self._round = Round(kind, ledger)
        self._settled: list[Settled] = []
        self._drafts = Drafts(compose)
        self._mailer = mailer
        self._stopping = ledger.stopping

    def outcomes(self) -> Iterator[Settled]:
        """Do it, and yield what became of each: None, or an error of `notifier.errors` or `messaging`."""
        try:
            while self._queue or self._round.unsent or self._round.done:
                self._go_on()
                yield from self._taken()
        except GeneratorExit:
            self._break_off(HandedBack())
            raise
        except BaseException as error:  # the ledger is away, or a time limit struck
            self._break_off(error)
            yield from self._taken()
        finally:
            self._mailer.withdraw()

    def due_in(self) -> float:
        """Seconds until mails have to be recorded (`Errand`)."""
        return self._round.since + UNRECORDED - time.monotonic()

    def run(self) -> None:
        """Record them while a mail waits for the server (`Errand`). If that fails, `outcomes` sees to it later."""
        if self._round.since < math.inf:
            try:
                self._settled += self._round.write(timeout=0.5)
            except psycopg.Error:
                self._round.since = time.monotonic() + 1.0

    def _go_on(self) -> None:
        if self._stopping.is_set():
            self._give_up(HandedBack())
        if not self._round.unsent or self.due_in() <= 0 or self._round.is_old():
            self._write()
        if self._round.unsent:  # always, or a slow ledger would be told for ever
            self._send(self._round.unsent[0])

    def _send(self, delivery: Delivery) -> None:
        began = time.monotonic()
        done = self._sent(delivery)
        self._round.end(done, began)
        if isinstance(done.error, ServerAway):
            self._give_up(done.error)
        elif not isinstance(done.error, Exception | None):  # a time limit: nobody's fault who comes after
            self._give_up(HandedBack())

    def _sent(self, delivery: Delivery) -> Done:
        try:
            mail = self._drafts.mail(delivery)
        except Exception as error:  # its outcome
            return Done(delivery, error, "release")
        self._round.sending = True
        try:
            within = self._round.seconds_left() - MARGIN
            self._mailer.send(mail, within=within, errand=self, following=self._following())
        except (MailDeferred, MailRefused) as error:
            return Done(delivery, error, "release")
        except MailUncertain as error:
            return Done(delivery, error, "doubt")
        except BaseException as error:  # its outcome too
            return Done(delivery, error, "nothing")
        return Done(delivery, None, "record")

    def _following(self) -> Mail | None:
        """Return the mail that this thread sends next, as far as it knows now."""
        if self._stopping.is_set():
            return None
        return self._drafts.ahead(self._round.unsent[1]) if len(self._round.unsent) > 1 else self._unclaimed()

    def _unclaimed(self) -> Mail | None:
        """Return the first mail that isn't claimed yet; not one that was dispatched before, and may be sent already."""
        return self._drafts.ahead(self._queue[0]) if self._queue and self._queue[0].dispatch == 1 else None

    def _write(self) -> None:
        """Tell the ledger, and claim the next mails. What is sent is told for as long as it takes: once is enough."""
        deadline = time.monotonic() + PATIENCE
        next_ones = [] if self._round.unsent else list(islice(self._queue, AT_ONCE))
        if next_ones and (mail := self._unclaimed()):
            self._mailer.announce(mail)
        while True:
            try:
                self._settled += self._round.write(next_ones)
            except psycopg.OperationalError:
                if not self._round.events("record"):
                    raise
            else:
                for _ in next_ones:
                    self._queue.popleft()
                return
            if time.monotonic() > deadline or self._stopping.is_set():
                self._settled += self._round.leave_untold()
                return
            time.sleep(0.2)

    def _give_up(self, error: BaseException) -> None:
        """Begin nothing more."""
        self._round.give_up(error)
        self._settled += [(delivery, error) for delivery in self._queue]
        self._queue.clear()

    def _break_off(self, error: BaseException) -> None:
        """End as well as the ledger allows. A claim whose answer never came may be ours too, and is given back."""
        self._round.unsent += [self._queue.popleft() for _ in range(min(AT_ONCE, len(self._queue)))]
        self._give_up(error)
        try:
            self._settled += self._round.write()
        except Exception:  # it was told often enough
            self._settled += self._round.leave_untold()

    def _taken(self) -> list[Settled]:
        taken, self._settled = self._settled, []
        return taken
