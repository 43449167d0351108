"""The recorder: the one thread of a process that records how effects ended.

It records an ending within WITHIN seconds, whatever the thread that caused the effect does meanwhile. Endings of all
threads share a commit. While the ledger is unreachable, read-only or locked, the recorder keeps trying.

If the recorder's thread dies, the broker ends the process (`HeraldBroker.end_for`), and the threads that wait for the
recorder record their endings themselves.
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
CHECK_SECONDS = 0.5
"""A thread that waits for a record checks this often whether the worker is stopping or the recorder has died."""

RETRY_SECONDS = 0.1
MAX_RETRY_SECONDS = 2.0
CLOSE_SECONDS = 5.0
"""A stopping worker waits this long for a ledger that is unreachable."""

log: structlog.stdlib.BoundLogger = structlog.get_logger("effects")

Doubts = int | None
"""How many attempts at a recorded effect ended without an answer. None: another attempt has claimed the effect."""

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
        """Record an ending within WITHIN seconds, or as soon as the ledger can be written."""
        future: Future[Doubts] = Future()
        with self._changed:
            if not self._pending:
                self._due = time.monotonic() + WITHIN
                self._changed.notify()
            self._pending[ending] = future
            if self._thread is None:
                thread = threading.Thread(target=self._run, name="recorder", daemon=True)
                thread.start()
                self._thread = thread  # only now: what hasn't started looks dead
        return future

    def wait(self, added: "Mapping[Ending, Future[Doubts]]", stopping: threading.Event) -> dict[Ending, Doubts]:
        """Let the recorder record these endings now, wait for that, and return the doubts of each.

        While the ledger can't be written this waits; once `stopping` is set, for at most `close_seconds`. Then it logs
        the endings that aren't recorded, and returns as if they were: only a lost receipt puts such an effect in doubt.
        """
        with self._changed:
            self._due = 0.0
            self._changed.notify()
        deadline = float("inf")
        for future in added.values():
            while not _is_done_within(CHECK_SECONDS, future):
                if stopping.is_set():
                    deadline = min(deadline, time.monotonic() + self._close_seconds)
                if self.is_dead or time.monotonic() > deadline:
                    return self._record_here(list(added))
        return {ending: future.result() for ending, future in added.items()}

    def close(self) -> None:
        """Record what is left, and end the thread."""
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
        """Wait for the endings to record next, and return them; none, when the recorder is closed."""
        with self._changed:
            self._changed.wait_for(lambda: self._pending or self._closing)
            while not self._closing and (seconds := self._due - time.monotonic()) > 0:
                self._changed.wait(seconds)
            batch, self._pending = self._pending, {}
        return batch

    def _recorded(self, endings: Sequence[Ending]) -> Mapping[UUID, int]:
        """Record endings, and repeat that until it succeeds. Recording an ending twice changes nothing more."""
        seconds = RETRY_SECONDS
        while True:
            try:
                return self._record(endings)
            except psycopg.Error:  # the ledger has logged it
                time.sleep(seconds)
                seconds = min(2 * seconds, MAX_RETRY_SECONDS)

    def _record_here(self, endings: Sequence[Ending]) -> dict[Ending, Doubts]:
        """Record in the calling thread, once: the recorder's thread has died, or the worker can't wait any longer."""
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
