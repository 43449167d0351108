"""An upgrade from the version before the effect ledger, with unfinished mails in every state: none lost, none twice."""

from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path

import psycopg
import pytest
import redis
from alembic import command
from psycopg import sql
from sqlalchemy import create_engine
from sqlalchemy.pool import NullPool
from tests.conftest import user_registered
from tests.patience import until

from chaos.sink import Sink
from chaos.system import System
from contracts import Event, UserRegistered
from devstack.herald import Herald
from devstack.ports import free_port
from devstack.postgres import Postgres
from devstack.redis_server import RedisServer
from messaging.process.migrate import _config
from messaging.process.revisions import version_table

BEFORE = {
    "users": (
        "users_api",
        ("messaging.publishing.migrations", "users_api.migrations"),
        ("messaging_0002", "users_0002"),
    ),
    "notifier": ("notifier", ("messaging.effects.migrations", "notifier.migrations"), ("notifier_0001",)),
    "auditor": ("auditor", ("auditor.migrations",), ("auditor_0001",)),
}
"""Of each database: whose it is, where its migrations are, and the revisions of the version before."""

NOW, SOON, PAST = "now()", "now() + interval '3 s'", "now() - interval '1 minute'"

CASES = {
    # name: (delivery's state, ledger's state or None, claim's end, doubts, mailed by the new version, final state)
    "not begun": ("pending", None, NOW, 0, True, "succeeded"),
    "in redis": ("queued", None, NOW, 0, True, "succeeded"),
    "retrying": ("retrying", None, NOW, 0, True, "succeeded"),
    "claimed by a worker that is gone": ("running", "sending", PAST, 0, True, "succeeded"),
    "claimed a moment ago": ("running", "sending", SOON, 0, True, "succeeded"),
    "sent, receipt lost": ("running", "sent", PAST, 0, False, "succeeded"),
    "sent, receipt lost, dispatched again": ("queued", "sent", PAST, 0, False, "succeeded"),
    "in doubt once": ("retrying", "uncertain", PAST, 1, True, "succeeded"),
    "in doubt too often": ("uncertain", "uncertain", PAST, 3, False, "uncertain"),
    "sent": ("succeeded", "sent", PAST, 0, False, "succeeded"),
    "refused": ("failed", None, NOW, 0, False, "failed"),
}

_numbers = count()


@pytest.fixture
def old_databases(postgres: Postgres) -> dict[str, str]:
    """The databases of the version before."""
    urls = {}
    for database, (service, packages, revisions) in BEFORE.items():
        name = f"before_{database}_{next(_numbers)}"
        postgres.create_database(name)
        urls[database] = postgres.url(name)
        engine = create_engine(urls[database].replace("postgresql:", "postgresql+psycopg:"), poolclass=NullPool)
        with engine.begin() as connection:
            config = _config(packages)
            config.attributes.update(connection=connection, version_table=version_table(service))
            for revision in revisions:
                command.upgrade(config, revision)
    return urls


@pytest.fixture
def system(
    old_databases: dict[str, str], redis_server: RedisServer, redis_client: redis.Redis, tmp_path: Path
) -> Iterator[System]:
    sink = Sink()
    sink.start()
    system = System(Herald(old_databases, redis_server.url, sink.url, free_port()), redis_server, sink, tmp_path)
    yield system
    system.kill()
    sink.stop()


def write(databases: dict[str, str], event: Event[UserRegistered], case: str) -> None:
    """Write what the version before would have left of one registration."""
    state, mail, claimed_until, doubts, *_ = CASES[case]
    attempts = int(state not in ("pending", "queued"))
    with psycopg.connect(databases["users"]) as users:
        users.execute(
            "INSERT INTO events (id, type, subject, envelope, available_at) VALUES (%s, %s, %s, %s::json, now())",
            (event.id, event.type, event.subject, event.model_dump_json()),
        )
        users.execute(
            "INSERT INTO deliveries (event_id, subscription, state, attempts, dispatch, message_id, due_at,"
            " lease_until, queued_at, finished_at) VALUES (%(id)s, 'welcome_email', %(state)s, %(attempts)s, 1,"
            " 'old.welcome_email.0', CASE WHEN %(state)s IN ('pending', 'retrying') THEN now() END,"
            " CASE WHEN %(state)s IN ('queued', 'running') THEN now() + interval '2 s' END, now(),"
            " CASE WHEN %(state)s IN ('succeeded', 'failed', 'uncertain') THEN now() END)",
            {"id": event.id, "state": state, "attempts": attempts},
        )
    if mail:
        with psycopg.connect(databases["notifier"]) as notifier:
            statement = sql.SQL(
                "INSERT INTO emails (event_id, kind, state, claim, claimed_until, generation, doubts, sent_at)"
                " VALUES (%s, 'welcome_email', %s, gen_random_uuid(), {}, 0, %s, now())"
            )
            notifier.execute(statement.format(sql.SQL(claimed_until)), (event.id, mail, doubts))


def test_no_mail_is_lost_and_none_is_sent_twice(
    system: System, old_databases: dict[str, str], add_old_message: Callable[[Event[UserRegistered]], None]
) -> None:
    events = {case: user_registered(number) for number, case in enumerate(CASES)}
    for case, event in events.items():
        write(old_databases, event, case)
    add_old_message(events["in redis"])

    for service in ("users-api", "notifier", "auditor"):
        assert "up to date" in system.run(service, "migrate")
    system.start()
    expected = {case: final for case, (*_, final) in CASES.items()}
    until(lambda: states(system, events) == expected)

    mailed = {case for case, event in events.items() if event.data.email in system.sink.recipients}
    assert mailed == {case for case, (*_, again, _) in CASES.items() if again}
    assert len(system.sink.recipients) == len(mailed)


def states(system: System, events: dict[str, Event[UserRegistered]]) -> dict[str, str]:
    rows = dict(system.query("users", "SELECT event_id, state FROM deliveries WHERE subscription = 'welcome_email'"))
    return {case: rows[event.id] for case, event in events.items()}


@pytest.fixture
def add_old_message(redis_client: redis.Redis) -> Callable[[Event[UserRegistered]], None]:
    """Put a message into the notifier's queue as the relay of the version before made it."""

    def add(event: Event[UserRegistered]) -> None:
        data = (
            '{"queue_name": "notifier", "actor_name": "welcome_email", "kwargs": {},'
            ' "options": {"redis_message_id": "old.welcome_email.0"}, "message_id": "old.welcome_email.0",'
            ' "message_timestamp": 1790000000000,'
            f'"args":[[{{"dispatch":1,"generation":0,"event":{event.model_dump_json()}}}]]}}'
        )
        redis_client.hset("dramatiq:notifier.msgs", "old.welcome_email.0", data)
        redis_client.rpush("dramatiq:notifier", "old.welcome_email.0")

    return add
