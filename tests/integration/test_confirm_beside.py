"""A confirmation beside other decisions, late receipts, and processes of an older version."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any
from uuid import UUID

import pytest
import redis
from psycopg import Connection
from tests.patience import until

from contracts import EFFECT_LEDGER, WELCOME_EMAIL, Event, UserRegistered
from devstack.redis_server import RedisServer
from messaging import HeraldBroker, subscribe
from messaging.process.database import Pool
from messaging.publishing import operations
from messaging.wire.receipt import OUTCOMES, Outcome

from .confirmed import Answer, confirm, confirm_on, decisions, delivery, rows, waits
from .conftest import QUICK_SUBSCRIPTIONS, RelayParts, relay_parts
from .operated import execute
from .searched import write
from .workers import working


@pytest.fixture
def uncertain(users_pool: Pool) -> UUID:
    """An event whose audit_log delivery is uncertain."""
    return write(users_pool, 7, "uncertain", "UncertainError: no answer")


# Races


def retry(connection: Connection[Any], event_id: UUID) -> Answer:
    parameters = operations.retrying(event_id, "audit_log", "grace")
    row = connection.execute(operations.RETRY_BY_OPERATOR, parameters).fetchone()
    return row and (int(row[1]), row[0])


RESEND = (retry, (1, "uncertain"), "pending")
CONFIRM = (confirm_on, (1, "uncertain"), "succeeded")


@pytest.mark.parametrize(
    ("first", "second"), [(RESEND, CONFIRM), (CONFIRM, RESEND), (CONFIRM, CONFIRM)], ids=["resend", "confirm", "twice"]
)
def test_of_two_decisions_at_the_same_time_the_first_counts(
    users_pool: Pool, uncertain: UUID, first: Any, second: Any
) -> None:
    def decide_too() -> Answer:
        with users_pool.connection() as connection:
            answer: Answer = second[0](connection, uncertain)
            return answer

    decide, moved, state = first
    with ThreadPoolExecutor(1) as others:
        with users_pool.connection() as connection, connection.transaction():
            assert decide(connection, uncertain) == moved
            answer = others.submit(decide_too)
            until(lambda: waits(users_pool) or answer.done())
        assert answer.result() == (0, state)

    assert delivery(users_pool, uncertain)["state"] == state
    assert len(rows(users_pool, "SELECT FROM operations")) == 1
    assert len(decisions(users_pool)) == (state == "succeeded")


@pytest.mark.parametrize("outcome", OUTCOMES)
def test_what_is_reported_after_it_moves_nothing(relay: RelayParts, queued: UUID, outcome: Outcome) -> None:
    relay.tell(queued, "uncertain", error="no answer")
    confirm(relay.pool, queued)
    before = delivery(relay.pool, queued)

    relay.tell(queued, outcome, error="late")

    assert delivery(relay.pool, queued) == before


def test_a_success_that_is_reported_before_it_is_a_report_of_the_provider(relay: RelayParts, queued: UUID) -> None:
    relay.tell(queued, "uncertain", error="no answer")
    relay.tell(queued, "succeeded", reference="msg-1")

    assert confirm(relay.pool, queued) == (0, "succeeded")
    row = delivery(relay.pool, queued)
    assert (row["reference"], row["confirmed_by"]) == ("msg-1", None)


# Upgrades


def test_an_older_relay_leaves_the_decision_to_a_newer_one(
    users_pool: Pool, redis_client: redis.Redis, uncertain: UUID
) -> None:
    confirm(users_pool, uncertain)
    execute(users_pool, "UPDATE deliveries SET due_at = now() + interval '1 h' WHERE subscription = 'welcome_email'")

    assert relay_parts(users_pool, redis_client, QUICK_SUBSCRIPTIONS).dispatcher.dispatch() == 0
    assert relay_parts(users_pool, redis_client, (EFFECT_LEDGER,)).dispatcher.dispatch() == 1


@pytest.mark.parametrize("subscriptions", [(EFFECT_LEDGER,)], ids=["effect_ledger"])
def test_an_older_worker_takes_the_decision_for_no_order_to_send(
    relay: RelayParts, running_relay: None, redis_server: RedisServer
) -> None:
    sent: list[Event[UserRegistered]] = []
    confirm(relay.pool, write(relay.pool, 7, "uncertain"))
    broker = HeraldBroker(redis_server.url)
    subscribe(broker, WELCOME_EMAIL, sent.append)

    with working(broker):
        until(lambda: decisions(relay.pool)[0]["state"] == "retrying")

    [row] = rows(relay.pool, "SELECT last_error FROM deliveries WHERE subscription = 'effect_ledger'")
    assert row["last_error"] == "this worker has no actor `effect_ledger`; deploy a version that does"
    assert sent == []
