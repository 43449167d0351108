"""The kit's outbox shows what PostgreSQL would hold, synchronously and asynchronously."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest
from psycopg.rows import dict_row
from tests.conftest import user_registered

from contracts import AUDIT_LOG, WELCOME_EMAIL, Event, EventData
from messaging import publish
from messaging.process.database import Pool
from messaging.testing import Outbox, Published


class Nobody(EventData):
    """An event to which nothing subscribes."""

    event_type = "nobody_listens"
    version = 1


@pytest.mark.parametrize("available_at", [None, datetime.now(UTC) + timedelta(days=3)])
def test_the_outbox_shows_what_postgresql_would_hold(users_pool: Pool, available_at: datetime | None) -> None:
    unheard: Event[EventData] = Event[Nobody].about(Nobody(), source="test", subject="nobody", correlation_id="test")
    events = [user_registered(1), user_registered(2), unheard]
    outbox = Outbox()

    later = WELCOME_EMAIL.model_copy(update={"name": "follow_up_email", "delay": timedelta(days=3)})
    statement = publish(events, available_at=available_at, subscriptions=[AUDIT_LOG, later])
    outbox.execute(*statement)
    with users_pool.connection() as connection:
        connection.execute(*statement)
        rows = published(connection)

    shown = sorted(outbox.published, key=lambda event: event.id)
    assert [row_of(event) for event in shown] == [row_of(row) for row in rows]
    for event, row in zip(shown, rows, strict=True):
        assert event.due.keys() == row.due.keys()
        assert all(abs(row.due[name] - due) < timedelta(minutes=5) for name, due in event.due.items())


def published(connection: psycopg.Connection[Any]) -> list[Published]:
    cursor = connection.cursor(row_factory=dict_row)
    events = cursor.execute("SELECT id, type, subject, envelope FROM events ORDER BY id").fetchall()
    due = cursor.execute("SELECT event_id, subscription, due_at FROM deliveries").fetchall()
    return [
        Published(
            **event, due={each["subscription"]: each["due_at"] for each in due if each["event_id"] == event["id"]}
        )
        for event in events
    ]


def row_of(event: Published) -> tuple[Any, ...]:
    return event.id, event.type, event.subject, event.envelope


async def register(connection: Any) -> None:
    """Publish as a service does, on an asynchronous connection."""
    await connection.execute("INSERT INTO users (email) VALUES (%s)", ("maya@example.com",))
    await connection.execute(*publish([user_registered(1)]))


def test_it_is_awaited_as_an_asynchronous_connection_is() -> None:
    outbox = Outbox()

    asyncio.run(register(outbox))

    assert [event.subject for event in outbox.published] == ["users/1"]
    assert outbox.statements == [("INSERT INTO users (email) VALUES (%s)", ("maya@example.com",))]
