"""An outbox in memory: what a publisher has published, for which subscriptions, and when that is due."""

import json
from collections.abc import Generator, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from messaging.publishing.outbox import publish


@dataclass(frozen=True, slots=True)
class Published:
    """An event. `envelope`: as consumers receive it. `due`: when its deliveries are due, by subscription's name."""

    id: UUID
    type: str
    subject: str
    envelope: Mapping[str, Any]
    due: Mapping[str, datetime]


class Outbox:
    """Stands in for a connection: `outbox.execute(*publish([event]))`, with or without `await`.

    `published`: all events so far. `statements`: any other statements that were executed, with their parameters; they
    did nothing and have no result, so test what they do on PostgreSQL.
    """

    def __init__(self) -> None:
        self.published: list[Published] = []
        self.statements: list[tuple[str, Any]] = []

    def execute(self, statement: str, parameters: Any = None) -> "Executed":
        """Keep a statement's events if `publish` made it, and otherwise the statement itself."""
        if statement == publish([])[0]:
            self.published.extend(_published(parameters))
        else:
            self.statements.append((statement, parameters))
        return Executed()


class Executed:
    """The empty result of a statement, which may be awaited."""

    def __await__(self) -> Generator[None, None, "Executed"]:
        """Return at once."""
        yield from ()
        return self

    def fetchone(self) -> None:
        """Return no row."""

    def fetchall(self) -> list[Any]:
        """Return no rows."""
        return []


def _published(parameters: Mapping[str, Any]) -> Iterator[Published]:
    at = parameters["available_at"] or datetime.now(UTC)
    subscriptions = list(zip(*(parameters[name] for name in ("names", "event_types", "delays")), strict=True))
    columns = (parameters[name] for name in ("ids", "types", "subjects", "envelopes"))
    for event_id, event_type, subject, envelope in zip(*columns, strict=True):
        due = {name: at + timedelta(seconds=delay) for name, wanted, delay in subscriptions if wanted == event_type}
        yield Published(event_id, event_type, subject, json.loads(envelope), due)
