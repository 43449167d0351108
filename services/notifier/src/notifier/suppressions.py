"""The suppression list: addresses that a server has refused for good. No mail is sent to them.

A process keeps the list in memory and reads what has changed at most once a second, so checking a mail costs nothing.
In that second a mail may still go to an address that another process has just added.
"""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any, LiteralString

import psycopg
import structlog
from psycopg import Connection
from psycopg.rows import class_row

from messaging.process.database import Pool
from notifier.errors import MailDeferred, MailSuppressed, RecipientRefused
from notifier.mail import Mail
from notifier.senders import Sender

REFRESH_SECONDS = 1.0
CONNECT_SECONDS = 0.5
STATEMENT_SECONDS = 1.0
"""A thread waits this long for a connection, and for a statement. Only the read at the start may take longer."""

NEVER = float("-inf")

_NOW: LiteralString = """
-- Return the database's time.
SELECT now()
"""

_LIMIT: LiteralString = """
-- Limit the time of each statement of this transaction.
SELECT set_config('statement_timeout', %s, true)
"""

_CHANGED: LiteralString = """
-- Return what has changed since a time, and ten seconds before: a change may be committed after a later one.
SELECT address, removed_at IS NULL FROM suppressions
WHERE changed_at > coalesce(%(since)s::timestamptz, '-infinity') - interval '10 s'
"""

_ADD: LiteralString = """
-- Put an address on the list. An address that is on it keeps the first reason.
INSERT INTO suppressions (address, reason) VALUES (%(address)s, %(reason)s)
ON CONFLICT (address) DO UPDATE
SET reason = excluded.reason, added_at = now(), removed_at = NULL, changed_at = clock_timestamp()
WHERE suppressions.removed_at IS NOT NULL
RETURNING address
"""

_REMOVE: LiteralString = """
-- Take an address off the list. The row stays, so that running processes read the change.
UPDATE suppressions SET removed_at = now(), changed_at = clock_timestamp()
WHERE address = %(address)s AND removed_at IS NULL
RETURNING address
"""

_LIST: LiteralString = """
-- List the addresses, the latest first.
SELECT address, reason, added_at FROM suppressions WHERE removed_at IS NULL ORDER BY added_at DESC
"""

log: structlog.stdlib.BoundLogger = structlog.get_logger("notifier")


@dataclass(frozen=True, slots=True)
class Suppressed:
    """An address on the list."""

    address: str
    reason: str
    added_at: datetime


def add(connection: Connection[Any], address: str, reason: str) -> bool:
    """Put an address on the list; return whether it is new there."""
    return connection.execute(_ADD, {"address": address.lower(), "reason": reason}).fetchone() is not None


def remove(connection: Connection[Any], address: str) -> bool:
    """Take an address off the list; return whether it was there."""
    return connection.execute(_REMOVE, {"address": address.lower()}).fetchone() is not None


def listed(connection: Connection[Any]) -> list[Suppressed]:
    """Return the list, the latest address first."""
    return connection.cursor(row_factory=class_row(Suppressed)).execute(_LIST).fetchall()


class Suppressing:
    """A sender that respects the list, and adds the addresses that are refused. What it adds is never lost."""

    def __init__(self, sender: Sender, pool: Pool) -> None:
        self._sender = sender
        self._pool = pool
        self._addresses: set[str] = set()
        self._read_until: datetime | None = None
        self._read_at = NEVER
        self._reading = threading.Lock()

    def load(self) -> None:
        """Read the whole list, before the first mail. If that fails, the first mail tries again."""
        try:
            with self._pool.connection() as connection:
                self._read(connection)
        except psycopg.Error as error:
            log.warning("suppressions.not_read", error=_name(error))

    def send(self, mail: Mail) -> str | None:
        """Send a mail unless its address is on the list. See `notifier.senders.Sender`."""
        self._refresh()
        if mail.recipient.email.lower() in self._addresses:
            raise MailSuppressed
        try:
            return self._sender.send(mail)
        except RecipientRefused as error:
            self._add(mail.recipient.email, str(error))
            raise

    def _add(self, address: str, reason: str) -> None:
        """Put an address on the list, or have its mail tried again: then the server refuses it again."""
        try:
            with self._connection() as connection:
                add(connection, address, reason)
        except psycopg.Error as error:
            raise MailDeferred(
                f"refused ({reason}), but the suppression list can't be written: {_name(error)}"
            ) from None
        self._addresses.add(address.lower())
        log.info("address.suppressed", reason=reason)

    def _refresh(self) -> None:
        """Read what has changed, if that hasn't just been done. Only the first time do threads wait for each other."""
        if time.monotonic() - self._read_at < REFRESH_SECONDS:
            return
        if self._reading.acquire(blocking=self._read_at == NEVER):
            try:
                self._read_changes()
            except psycopg.Error as error:
                raise MailDeferred(f"the suppression list can't be read: {_name(error)}") from None
            finally:
                self._reading.release()

    def _read_changes(self) -> None:
        if time.monotonic() - self._read_at >= REFRESH_SECONDS:
            with self._connection() as connection:
                self._read(connection)

    @contextmanager
    def _connection(self) -> Iterator[Connection[Any]]:
        with self._pool.connection(CONNECT_SECONDS) as connection, connection.transaction():
            connection.execute(_LIMIT, [f"{STATEMENT_SECONDS:.0f}s"])
            yield connection

    def _read(self, connection: Connection[Any]) -> None:
        began = time.monotonic()
        [(now,)] = connection.execute(_NOW).fetchall()
        for address, is_on in connection.execute(_CHANGED, {"since": self._read_until}):
            (self._addresses.add if is_on else self._addresses.discard)(address)
        self._read_until, self._read_at = now, began


def _name(error: psycopg.Error) -> str:
    return type(error).__name__
