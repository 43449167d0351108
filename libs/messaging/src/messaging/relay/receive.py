"""Read receipts, apply them, and delete them from the stream."""

import threading

import psycopg
import structlog

from messaging.relay.apply import Applier
from messaging.relay.receipt_reader import ReceiptReader
from messaging.wire.receipt import Receipt, describe
from messaging.wire.waits import Waits

GATHER_SECONDS = 0.05
"""After the first receipts of a round, wait this long for more: if work is quick, its `started` and its outcome then
become one update of the delivery."""

LIMIT = 500

log: structlog.stdlib.BoundLogger = structlog.get_logger("relay")


class Receiver:
    """Applies receipts that this relay reads, and those that a dead relay had read.

    `reader`: blocks on the client of `waits`. `heir`: takes over on another client. `stop`: cuts gathering short.
    """

    def __init__(
        self, waits: Waits, reader: ReceiptReader, heir: ReceiptReader, applier: Applier, stop: threading.Event
    ) -> None:
        self._waits = waits
        self._reader = reader
        self._heir = heir
        self._applier = applier
        self._stop = stop

    def receive(self, *, wait: float) -> None:
        """Wait up to `wait` seconds for receipts, and apply them in groups."""
        with self._waits.waiting() as may:
            entry_ids, receipts = self._reader.read(wait=wait, limit=LIMIT) if may else ([], [])
        if entry_ids and len(entry_ids) < LIMIT:
            self._stop.wait(GATHER_SECONDS)
            more_ids, more = self._reader.read(wait=0, limit=LIMIT)
            entry_ids, receipts = entry_ids + more_ids, receipts + more
        self._apply(self._reader, entry_ids, receipts)

    def take_over(self, *, idle: float) -> None:
        """Apply receipts that another relay read at least `idle` seconds ago and hasn't finished."""
        self._apply(self._heir, *self._heir.take_over(idle=idle, limit=LIMIT))

    def _apply(self, reader: ReceiptReader, entry_ids: list[bytes], receipts: list[Receipt]) -> None:
        if receipts:
            self._apply_all(receipts)
        reader.done(entry_ids)

    def _apply_all(self, receipts: list[Receipt]) -> None:
        """Apply receipts. If PostgreSQL refuses the data of one, drop that one and apply the others."""
        try:
            self._applier.apply(receipts)
        except psycopg.DataError as error:
            if len(receipts) == 1:
                log.error("receipts.dropped", count=1, error=describe(error))  # noqa: TRY400  # the error says it all
                return
            for receipt in receipts:
                self._apply_all([receipt])
