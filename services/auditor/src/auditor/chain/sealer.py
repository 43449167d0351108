"""The sealer: the thread of a worker process that seals what any worker has written.

It gathers rows for GATHER_SECONDS after a wake, so a row is unsealed for one or two seconds. Without a wake it looks
every LOOK_SECONDS for rows that another process, since dead, has left. A failure is logged and tried again: it neither
ends the worker nor holds up writing.
"""

import threading
import time
from collections.abc import Callable

import structlog

from auditor.chain.checkpoints import Checkpoints
from auditor.chain.sealing import try_seal
from auditor.chain.seals import Head, read_head
from messaging.process.database import Connections

GATHER_SECONDS = 1.0
LOOK_SECONDS = 5.0
CHECKPOINT_SECONDS = 60.0
CLOSE_SECONDS = 5.0
"""A stopping worker waits this long for its last seal."""

log: structlog.stdlib.BoundLogger = structlog.get_logger("audit")


class Sealer:
    """Seals over connections of a pool, and writes checkpoints if there is a file for them."""

    def __init__(self, pool: Connections, checkpoints: Checkpoints | None) -> None:
        self._pool = pool
        self._checkpoints = checkpoints
        self._checkpoint_at = time.monotonic() + CHECKPOINT_SECONDS
        self._failing: set[str] = set()
        self._woken = threading.Event()
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._run, name="sealer", daemon=True)

    def start(self) -> None:
        """Begin to look for rows."""
        self._thread.start()

    def wake(self) -> None:
        """Seal within GATHER_SECONDS: rows were committed."""
        self._woken.set()

    def close(self) -> None:
        """Seal what is left, write a last checkpoint, and end the thread; unless that takes too long."""
        self._closing.set()
        self._woken.set()
        self._thread.join(CLOSE_SECONDS)

    def _run(self) -> None:
        while not self._closing.is_set():
            if self._woken.wait(LOOK_SECONDS):
                self._closing.wait(GATHER_SECONDS)
            self._round()
        self._round()  # rows that were committed during the last one

    def _round(self) -> None:
        self._woken.clear()
        self._attempt("seal", self._seal)
        if time.monotonic() > self._checkpoint_at or self._closing.is_set():
            self._checkpoint_at = time.monotonic() + CHECKPOINT_SECONDS
            self._attempt("checkpoint", self._checkpoint)

    def _attempt(self, what: str, act: Callable[[], None]) -> None:
        """Do something that may fail. The first failure of several is logged, and the success that ends them."""
        try:
            act()
        except Exception as error:  # whatever it is: the worker goes on, and this is tried again
            if what not in self._failing:
                self._failing.add(what)
                log.error(f"{what}.failed", error=f"{type(error).__name__}: {error}")  # noqa: TRY400  # an outage needs no traceback
        else:
            if what in self._failing:
                self._failing.remove(what)
                log.info(f"{what}.recovered")

    def _seal(self) -> None:
        with self._pool.connection() as connection:
            while written := try_seal(connection):
                pass
        if written is None:  # the other sealer may have begun before our rows were committed
            self._woken.set()

    def _checkpoint(self) -> None:
        if self._checkpoints:
            self._checkpoints.append(self._read_head)

    def _read_head(self) -> Head:
        with self._pool.connection() as connection:
            return read_head(connection)
