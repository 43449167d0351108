"""Whether the endpoint is disabled: it answered 410 Gone, and no operator has enabled it since.

The table `webhook_endpoints` says so for all workers, and after a restart. It knows an endpoint by the hash of its URL,
so another WEBHOOK_URL is another endpoint, which is enabled.
"""

import threading
import time
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from typing import LiteralString

import psycopg
import structlog
from psycopg import Connection
from psycopg.rows import TupleRow

from messaging.errors import Unavailable
from messaging.process.database import Pool, open_pool
from notifier.webhooks.errors import EndpointGone

FRESH_SECONDS = 1.0
"""A worker asks the database again after this time, whether it answered or not."""

WAIT_SECONDS = 2.0
"""The most that one look or one note waits for a connection, and then for PostgreSQL."""

LOOK: LiteralString = """
-- Return since when an endpoint is disabled, and why; no row, if it isn't.
SELECT disabled_at, reason FROM webhook_endpoints WHERE url_hash = %s
"""

DISABLE: LiteralString = """
-- Disable an endpoint. Several workers may do so at once; the first reason stays.
INSERT INTO webhook_endpoints (url_hash, reason) VALUES (%s, %s) ON CONFLICT (url_hash) DO NOTHING
"""

ENABLE: LiteralString = """
-- Enable an endpoint, and return since when it was disabled.
DELETE FROM webhook_endpoints WHERE url_hash = %s RETURNING disabled_at, reason
"""

log: structlog.stdlib.BoundLogger = structlog.get_logger("webhook")


@dataclass(frozen=True, slots=True)
class Disabled:
    """An endpoint is disabled: since when, and why."""

    since: datetime
    reason: str


def look(connection: Connection[TupleRow], url: str) -> Disabled | None:
    """Return since when and why an endpoint is disabled; None, if it is enabled."""
    row = connection.execute(LOOK, (_hash(url),)).fetchone()
    return Disabled(*row) if row else None


def enable(connection: Connection[TupleRow], url: str) -> Disabled | None:
    """Enable an endpoint; return since when and why it was disabled, or None, if it wasn't."""
    row = connection.execute(ENABLE, (_hash(url),)).fetchone()
    return Disabled(*row) if row else None


class Switch:
    """Turns the endpoint off for all workers. Threads share it."""

    def __init__(self, database_url: str, url: str) -> None:
        settings = (f"statement_timeout = {int(WAIT_SECONDS * 1000)}",)
        self._pool: Pool = open_pool(database_url, size=1, name="webhook", settings=settings)
        self._url = url
        self._looking = threading.Lock()
        self._disabled: Disabled | None = None
        self._fault = ""
        self._looked_at = float("-inf")

    def require_on(self) -> None:
        """Require that the endpoint is enabled.

        Raises:
            EndpointGone: it is disabled. The message names the remedy.
            Unavailable: the database doesn't say.
        """
        with self._looking:
            if time.monotonic() - self._looked_at > FRESH_SECONDS:
                self._look()
            disabled, fault = self._disabled, self._fault
        if fault:
            raise Unavailable(f"the notifier's database doesn't say whether the endpoint is disabled: {fault}")
        if disabled:
            raise EndpointGone(gone(f"it has been disabled since {disabled.since:%Y-%m-%d %H:%M %Z}"))

    def turn_off(self, reason: str) -> None:
        """Disable the endpoint.

        Raises:
            Unavailable: the database doesn't take that.
        """
        try:
            with self._pool.connection(timeout=WAIT_SECONDS) as connection:
                connection.execute(DISABLE, (_hash(self._url), reason))
        except psycopg.Error as error:
            raise Unavailable(f"{reason}, and the notifier's database doesn't take that: {_said(error)}") from error
        self._looked_at = float("-inf")
        log.error("webhook.disabled", reason=reason, remedy="notifier webhook enable")

    def close(self) -> None:
        """Close the connection."""
        self._pool.close(timeout=1)

    def _look(self) -> None:
        """Look. A fault is kept as long as an answer, so that threads don't wait for the database one after another."""
        try:
            with self._pool.connection(timeout=WAIT_SECONDS) as connection:
                self._disabled, self._fault = look(connection, self._url), ""
        except psycopg.Error as error:
            self._fault = _said(error)
        self._looked_at = time.monotonic()


def gone(why: str) -> str:
    """Return the error of a delivery to a disabled endpoint, with the remedy."""
    return (
        f"the webhook's endpoint doesn't want webhooks any more ({why}). If it does: notifier webhook enable, then"
        " users-api replay --subscription webhook --since DATE. If not, unset WEBHOOK_URL"
    )


def _hash(url: str) -> bytes:
    return sha256(url.encode()).digest()


def _said(error: psycopg.Error) -> str:
    return str(error).strip() or type(error).__name__
