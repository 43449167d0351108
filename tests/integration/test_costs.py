"""What work costs, in round trips: what makes Herald fast is that much is done in few of them. No clock here."""

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import psycopg
import pytest
import redis
from tests.conftest import user_registered

from auditor.handlers import record
from contracts import AUDIT_LOG, WELCOME_EMAIL, Event, UserRegistered
from devstack.redis_server import RedisServer
from messaging import HeraldBroker, subscribe_group, subscribe_once
from messaging.consuming.receipt_writer import report
from messaging.effects import Ledger
from messaging.process import session
from messaging.process.database import open_pool
from messaging.wire.receipt import Receipt
from users_api import PUBLISHER

from .conftest import RelayParts
from .crowd import Crowd, statuses
from .live_api import LiveApi
from .workers import Publish


@contextmanager
def sent_to_postgresql(kind: type[Any], cursor: type[Any]) -> Iterator[list[str]]:
    """Note what this kind of connection sends until the block ends: BEGIN and COMMIT are round trips too."""
    sent: list[str] = []
    execute, executemany, command = cursor.execute, cursor.executemany, psycopg.BaseConnection._exec_command

    def executed(self: Any, query: Any, *args: Any, **options: Any) -> Any:
        if query is not session.SET:  # the pool opens one more connection
            sent.append(str(query))
        return execute(self, query, *args, **options)

    def executed_many(self: Any, query: Any, parameters: Any, **options: Any) -> Any:
        every = list(parameters)
        sent.extend([str(query)] * len(every))
        return executemany(self, query, every, **options)

    def commanded(self: Any, query: Any, *args: Any, **options: Any) -> Any:
        if isinstance(self, kind):
            sent.append(str(query))
        return command(self, query, *args, **options)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(cursor, "execute", executed)
        patch.setattr(cursor, "executemany", executed_many)
        patch.setattr(psycopg.BaseConnection, "_exec_command", commanded)
        yield sent


def by_workers() -> Any:
    """Note what relay and consumers send."""
    return sent_to_postgresql(psycopg.Connection, psycopg.Cursor)


@contextmanager
def sent_to_redis(client: redis.Redis) -> Iterator[dict[str, int]]:
    """Note how many commands of each kind Redis executes until the block ends."""
    calls: dict[str, int] = {}
    before = _calls(client)
    yield calls
    calls |= {name: count - before.get(name, 0) for name, count in _calls(client).items()}
    calls |= {"all": sum(calls.values())}


def _calls(client: redis.Redis) -> dict[str, int]:
    told = client.info("commandstats")
    return {name.removeprefix("cmdstat_"): of["calls"] for name, of in told.items() if name != "cmdstat_info"}


# Registering


def test_forty_who_waited_together_cost_one_round_trip(api: LiveApi, crowd: Crowd) -> None:
    with sent_to_postgresql(psycopg.AsyncConnection, psycopg.AsyncCursor) as sent:
        with crowd.behind("first") as first:
            others = crowd.come(*(f"user{number}" for number in range(40)))

        assert statuses([first, *others]) == [201] * 41
    registering = [each for each in sent if "lock_timeout" not in each]  # a new connection's
    assert len(registering) == 2, "the first's, and one for the forty"
    assert len(set(crowd.transactions().values())) == 2
    assert api.counts() == (41, 41, 82)


def test_a_registration_alone_costs_one_round_trip(api: LiveApi) -> None:
    with sent_to_postgresql(psycopg.AsyncConnection, psycopg.AsyncCursor) as sent:
        answers = [
            api.register_once("key").status_code,
            api.register_once("key").status_code,
            api.register().status_code,
        ]

    assert answers == [201, 201, 409]
    assert len([each for each in sent if "lock_timeout" not in each]) == 3


# The relay


@pytest.mark.parametrize("users", [1, 50, 200])
def test_dispatching_costs_one_statement_and_two_commands_a_message(
    relay: RelayParts, publish_users: Publish, users: int
) -> None:
    publish_users(1)
    relay.dispatcher.dispatch()
    relay.redis.flushdb()
    publish_users(users)

    with by_workers() as sent, sent_to_redis(relay.redis) as calls:
        assert relay.dispatcher.dispatch() == 2 * users

    messages = len(relay.messages(WELCOME_EMAIL.queue)) + len(relay.messages(AUDIT_LOG.queue))
    assert messages == -(-users // 10) + -(-users // 100), "full groups, and one that isn't"
    assert len(sent) == 1
    assert calls["all"] <= 2 * messages + 5, "a script, and what each key of two queues holds"


def test_publishing_costs_one_statement_however_many(relay: RelayParts, publish_users: Publish) -> None:
    with by_workers() as sent:
        publish_users(200)

    assert len(sent) == 1


@pytest.mark.parametrize("number", [1, 400])
def test_applying_receipts_costs_one_statement_in_a_transaction(
    relay: RelayParts, publish_users: Publish, number: int
) -> None:
    events = publish_users(number)
    relay.dispatcher.dispatch()
    receipts = [Receipt(each.id, "audit_log", 1, "succeeded") for each in events]
    receipts += [Receipt(each.id, "audit_log", 1, "started") for each in events]

    with by_workers() as sent:
        relay.applier.apply(receipts)

    assert len(sent) == 3, "BEGIN, what an outcome says, COMMIT; it says all that `started` would"


def test_reading_receipts_and_forgetting_them_costs_a_command_each(relay: RelayParts) -> None:
    relay.reader.read(wait=0.001)
    for number in range(100):
        report(relay.redis, PUBLISHER, [Receipt(user_registered(number).id, "audit_log", 1, "succeeded")])

    with sent_to_redis(relay.redis) as calls:
        entries, receipts = relay.reader.read(wait=1)
        relay.reader.done(entries)

    assert len(receipts) == 100
    assert calls["xreadgroup"] == calls["xack"] == calls["xdel"] == 1


# Consumers


def batch(number: int) -> list[dict[str, Any]]:
    """Return what a message carries of so many events."""
    envelopes = [json.loads(user_registered(each).model_dump_json()) for each in range(number)]
    return [{"dispatch": 1, "generation": 0, "event": each} for each in envelopes]


@pytest.mark.parametrize("number", [1, 100])
def test_recording_events_costs_the_auditor_one_statement_and_two_receipts(
    new_database: Callable[[str], str], redis_server: RedisServer, redis_client: redis.Redis, number: int
) -> None:
    broker = HeraldBroker(redis_server.url)
    with open_pool(new_database("auditor"), size=1, name="test") as pool:

        def audit_log(events: Sequence[Event[UserRegistered]]) -> None:
            with pool.connection() as connection:
                record(connection, events)

        actor = subscribe_group(broker, AUDIT_LOG, audit_log)
        pool.wait()  # new connections set their parameters
        broker.client.ping()
        with by_workers() as sent, sent_to_redis(redis_client) as calls:
            actor.fn(PUBLISHER, batch(number))
    broker.client.close()

    assert len(sent) == 1
    assert calls["all"] == calls["xadd"] == 2, "one that it began, one that it ended"


def test_effects_cost_a_claim_and_a_record_for_ten_and_two_receipts(
    effects_database: str, redis_server: RedisServer, redis_client: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("messaging.effects.recorder.WITHIN", 60.0)  # however slow this machine is just now
    monkeypatch.setattr("messaging.consuming.subscriber.REPORT_EVERY", 60.0)
    broker = HeraldBroker(redis_server.url)
    ledger = Ledger(effects_database, limit=60, uncertain="resend")
    actor = subscribe_once(broker, WELCOME_EMAIL, lambda event, key: key, ledger=ledger)
    broker.client.ping()  # new connections set their parameters
    ledger.claim([])
    ledger.record([])
    with by_workers() as sent, sent_to_redis(redis_client) as calls:
        actor.fn(PUBLISHER, batch(30))
    ledger.close()
    broker.client.close()

    assert len(sent) == 6, "claim ten and record ten, three times"
    assert calls["all"] == calls["xadd"] == 2, "one that it began, one that it ended"
