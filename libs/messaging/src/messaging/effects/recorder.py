"""The recorder: the one thread of a process that records how effects ended.

An ending is in the ledger within WITHIN seconds, whatever the thread that caused the effect does meanwhile. Endings of
all threads share a commit. Recording is tried for as long as the ledger is unreachable, read-only or locked.

If the recorder's thread dies, the broker ends the process (`HeraldBroker.end_for`), and every thread that waits for a
record makes it itself.
"""

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from uuid import UUID

import psycopg
import structlog

from messaging.effects.claims import Ending

WITHIN = 0.05
LOOK_SECONDS = 0.5
RETRY_SECONDS = 0.1
MAX_RETRY_SECONDS = 2.0
CLOSE_SECONDS = 10.0
"""A stopping worker waits this long for a ledger that is unreachable."""

log: structlog.stdlib.BoundLogger = structlog.get_logger("effects")

Doubts = int | None
"""Of a recorded effect: how many attempts ended without an answer. None: another attempt owns the effect now."""

Record = Callable[[Sequence[Ending]], Mapping[UUID, int]]


class Recorder:
    """Records endings by `record` (`Ledger.record`).

    `close_seconds`: how long a stopping worker waits for a ledger that is unreachable.
    """

    def __init__(self, record: Record, *, close_seconds: float = CLOSE_SECONDS) -> None:
        self._record = record
        self._close_seconds = close_seconds
        self._changed = threading.Condition()
        self._pending: dict[Ending, Future[Doubts]] = {}
        self._due = 0.0
        self._closing = False
        self._thread: threading.Thread | None = None

    @property
    def is_dead(self) -> bool:
        """Whether its thread has died."""
        return self._thread is not None and not self._thread.is_alive() and not self._closing

    def add(self, ending: Ending) -> "Future[Doubts]":
        """Have an ending recorded, within WITHIN seconds or as soon as the ledger takes it."""
        future: Future[Doubts] = Future()
        with self._changed:
            if not self._pending:
                self._due = time.monotonic() + WITHIN
                self._changed.notify()
            self._pending[ending] = future
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="recorder", daemon=True)
                self._thread.start()
        return future

    def wait(self, added: "Mapping[Ending, Future[Doubts]]", stopping: threading.Event) -> dict[Ending, Doubts]:
        """Have these recorded at once, and return the doubts of each.

        While the ledger can't be written this waits; once `stopping` is set, for `close_seconds` at most. Then it logs
        which endings are not recorded: what is done is done, and only a lost receipt would put it in doubt.
        """
        with self._changed:
            self._due = 0.0
            self._changed.notify()
        deadline = float("inf")
        for future in added.values():
            while not _is_done_within(LOOK_SECONDS, future):
                if stopping.is_set():
                    deadline = min(deadline, time.monotonic() + self._close_seconds)
                if self.is_dead or time.monotonic() > deadline:
                    return self._record_here(list(added))
        return {ending: future.result() for ending, future in added.items()}

    def close(self) -> None:
        """Record what is left, and end."""
        with self._changed:
            self._closing = True
            self._changed.notify()
        if self._thread:
            self._thread.join(self._close_seconds)

    def _run(self) -> None:
        while batch := self._next_batch():
            doubts = self._recorded(list(batch))
            for ending, future in batch.items():
                future.set_result(doubts.get(ending.claim.token))

    def _next_batch(self) -> "dict[Ending, Future[Doubts]]":
        """Return the endings to record next; none, when the recorder is closed."""
        with self._changed:
            self._changed.wait_for(lambda: self._pending or self._closing)
            while not self._closing and (seconds := self._due - time.monotonic()) > 0:
                self._changed.wait(seconds)
            batch, self._pending = self._pending, {}
        return batch

    def _recorded(self, endings: Sequence[Ending]) -> Mapping[UUID, int]:
        """Record for as long as it takes: a repeated record changes nothing more."""
        seconds = RETRY_SECONDS
        while True:
            try:
                return self._record(endings)
            except psycopg.Error:  # the ledger has logged it
                time.sleep(seconds)
                seconds = min(2 * seconds, MAX_RETRY_SECONDS)

    def _record_here(self, endings: Sequence[Ending]) -> dict[Ending, Doubts]:
        """Record by the thread that waits, once: the recorder's has died, or the worker can't wait any longer."""
        try:
            doubts = self._record(endings)
        except psycopg.Error:
            for ending in endings:
                log.error("effect.not_recorded", event_id=str(ending.claim.event_id), ended=ending.how)  # noqa: TRY400  # the ledger has logged the error
            return dict.fromkeys(endings, 0)
        return {ending: doubts.get(ending.claim.token) for ending in endings}


def _is_done_within(seconds: float, future: "Future[Doubts]") -> bool:
    try:
        future.result(seconds)
    except TimeoutError:
        return False
    return True
