"""The suppression list: addresses that a server has refused for good. No mail is sent to them.

A process keeps the list in memory and reads what has changed at most once a second, so checking a mail costs nothing.
In that second a mail may still go to an address that another process has just added.
"""

import threading
import time
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Any, LiteralString

import psycopg
import structlog
from psycopg import Connection
from psycopg.rows import class_row

from messaging.process.database import Connections
from notifier.errors import MailDeferred, MailSuppressed, RecipientRefused
from notifier.mail import Mail
from notifier.senders import Sender

REFRESH_SECONDS = 1.0
NEVER = float("-inf")

_CHANGED: LiteralString = """
-- Return what has changed since a time, and ten seconds before: a change may be committed after a later one.
SELECT address, removed_at IS NULL, changed_at FROM suppressions
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
    """A sender that respects the list, and adds the addresses that are refused."""

    def __init__(self, sender: Sender, connections: Connections) -> None:
        self._sender = sender
        self._connections = connections
        self._addresses: set[str] = set()
        self._latest: datetime | None = None
        self._read_at = NEVER
        self._reading = threading.Lock()

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
        with suppress(psycopg.Error), self._connections.connection() as connection:
            add(connection, address, reason)
            log.info("address.suppressed", reason=reason)

    def _refresh(self) -> None:
        """Read what has changed, if that hasn't just been done. Only the first time do threads wait for each other."""
        if time.monotonic() - self._read_at < REFRESH_SECONDS:
            return
        if self._reading.acquire(blocking=self._read_at == NEVER):
            try:
                self._read()
            except psycopg.Error as error:
                raise MailDeferred(f"the suppression list can't be read: {type(error).__name__}") from None
            finally:
                self._reading.release()

    def _read(self) -> None:
        if time.monotonic() - self._read_at < REFRESH_SECONDS:
            return
        began = time.monotonic()
        with self._connections.connection() as connection:
            rows = connection.execute(_CHANGED, {"since": self._latest}).fetchall()
        for address, is_on, changed_at in rows:
            (self._addresses.add if is_on else self._addresses.discard)(address)
            self._latest = max(self._latest or changed_at, changed_at)
        self._read_at = began
