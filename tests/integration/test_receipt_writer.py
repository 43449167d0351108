"""Receipts leave at once and are confirmed later: what that may cost when Redis is away meanwhile."""

import threading
from contextlib import ExitStack
from uuid import UUID

import redis
from structlog.testing import capture_logs

from devstack.ports import free_port
from devstack.redis_server import RedisServer
from messaging.consuming import outcomes
from messaging.consuming.receipt_writer import ReceiptWriter
from messaging.relay.receipt_reader import ReceiptReader
from messaging.wire.client import connect
from messaging.wire.receipt import Outcome, Receipt
from users_api import PUBLISHER

from .workers import full


def news(outcome: Outcome) -> list[Receipt]:
    return [Receipt(UUID(int=1), "audit_log", 1, outcome)]


def arrived(client: redis.Redis) -> list[str]:
    reader = ReceiptReader(client, "reader", PUBLISHER)
    reader.read(wait=0.001)  # the first makes the group
    return [receipt.outcome for receipt in reader.read(wait=0.5)[1]]


def test_what_was_told_is_there_at_the_latest_when_the_work_is_done(redis_client: redis.Redis) -> None:
    with outcomes.reporting(redis_client, PUBLISHER) as report:
        report(news("started"))
        report(news("succeeded"))

    assert arrived(redis_client) == ["started", "succeeded"]


def test_work_begins_while_redis_has_not_answered(redis_server: RedisServer, redis_client: redis.Redis) -> None:
    client = connect(redis_server.url)
    client.ping()
    redis_client.client_pause(60_000, all=False)
    with capture_logs() as logs, outcomes.reporting(client, PUBLISHER) as report:
        report(news("started"))
        redis_client.client_unpause()  # only now that work has begun, or whoever waited would have lost patience
    client.close()

    assert logs == []
    assert arrived(redis_client) == ["started"]


def test_a_redis_that_restarts_during_the_work_still_hears_how_it_ended(
    redis_server: RedisServer, redis_client: redis.Redis
) -> None:
    client = connect(redis_server.url)
    with capture_logs() as logs, outcomes.reporting(client, PUBLISHER) as report:
        report(news("started"))
        redis_client.client_kill_filter(_type="normal", skipme=True)
        report(news("succeeded"))
    client.close()

    assert arrived(redis_client)[-1:] == ["succeeded"]
    assert len(logs) <= 1, "at most that it had begun is lost"


def test_a_redis_that_is_full_loses_receipts_and_the_next_work_has_a_good_connection(
    redis_server: RedisServer, redis_client: redis.Redis
) -> None:
    client = connect(redis_server.url)
    with full(redis_client), capture_logs() as logs, outcomes.reporting(client, PUBLISHER) as report:
        report(news("started"))
        report(news("succeeded"))
    assert [each["event"] for each in logs] == ["receipts.lost", "receipts.lost"]

    with outcomes.reporting(client, PUBLISHER) as report:
        report(news("failed"))

    assert client.ping() is True
    client.close()
    assert arrived(redis_client) == ["failed"]


def test_an_answer_that_is_still_to_come_is_nobody_elses(redis_server: RedisServer, redis_client: redis.Redis) -> None:
    """As when a time limit strikes while the answer is waited for."""
    client = connect(redis_server.url, timeout=2.0)
    client.ping()
    redis_client.client_pause(60_000, all=False)
    writer = ReceiptWriter(client, PUBLISHER)
    writer.write(news("started"))
    writer.close()

    assert client.ping() is True
    redis_client.client_unpause()
    client.close()


def test_more_than_a_hundred_may_be_at_work_at_once(redis_server: RedisServer, redis_client: redis.Redis) -> None:
    """redis-py lends a hundred connections, if it isn't told otherwise."""
    client = connect(redis_server.url)
    with capture_logs() as logs, ExitStack() as at_work:
        for _ in range(150):
            at_work.enter_context(outcomes.reporting(client, PUBLISHER))(news("started"))
    client.close()

    assert logs == []
    assert len(arrived(redis_client)) == 150


def test_without_redis_work_goes_on() -> None:
    client = connect(f"redis://127.0.0.1:{free_port()}")
    worked = threading.Event()

    with capture_logs() as logs, outcomes.reporting(client, PUBLISHER) as report:
        report(news("started"))
        worked.set()
        report(news("succeeded"))

    assert worked.is_set()
    assert [(each["event"], each["count"]) for each in logs] == [("receipts.lost", 1), ("receipts.lost", 1)]
