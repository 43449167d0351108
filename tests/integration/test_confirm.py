"""Confirming an uncertain effect: one statement ends its delivery and publishes the decision, whatever races it."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import datetime
from uuid import UUID

import pytest
from tests.patience import until

from contracts import AUDIT_LOG, EFFECT_LEDGER, EffectConfirmed, decode
from messaging.errors import OperationRefused
from messaging.process.database import Pool
from messaging.publishing import bulk, confirming, operations
from messaging.publishing.bulk import meant
from messaging.publishing.filtering import Filter
from messaging.publishing.states import STATES
from messaging.relay.listener import Listener
from messaging.relay.operate import Operator
from messaging.relay.relay import SETTINGS
from users_api import PUBLISHER

from .confirmed import confirm, decisions, delivery, rows, waits
from .operated import LONG_AGO, MINUTE, execute, finish, request, shown
from .searched import states_of, write


@pytest.fixture
def uncertain(users_pool: Pool) -> UUID:
    """An event whose audit_log delivery is uncertain."""
    return write(users_pool, 7, "uncertain", "UncertainError: no answer")


def test_a_confirmed_delivery_has_succeeded_and_says_who_confirmed_it(users_pool: Pool, uncertain: UUID) -> None:
    assert confirm(users_pool, uncertain) == (1, "uncertain")

    row = delivery(users_pool, uncertain)
    assert (row["state"], row["confirmed_by"], row["last_error"]) == ("succeeded", "ada", None)
    assert (row["generation"], row["attempts"], row["due_at"], row["lease_until"]) == (0, 3, None, None)
    assert row["finished_at"] > row["started_at"]


def test_the_decision_is_an_event_that_is_due_at_once(users_pool: Pool, uncertain: UUID) -> None:
    confirm(users_pool, uncertain)

    [decided] = decisions(users_pool)
    event = decode(decided["envelope"], EffectConfirmed)
    assert event.data == EffectConfirmed(event_id=uncertain, subscription="audit_log", confirmed_by="ada")
    assert (event.source, event.correlationid) == ("users-api", str(uncertain))
    assert event.subject == decided["subject"] == f"deliveries/{uncertain}/audit_log"
    assert (decided["subscription"], decided["state"], decided["is_due"]) == (EFFECT_LEDGER.name, "pending", True)


def test_it_is_recorded_as_an_operation_and_counted_without_a_lag(users_pool: Pool, uncertain: UUID) -> None:
    execute(users_pool, "UPDATE deliveries SET first_due_at = now() - interval '3 days'")
    confirm(users_pool, uncertain)

    [done] = rows(users_pool, "SELECT * FROM operations")
    assert (done["action"], done["requested_by"], done["state"]) == ("confirm", "ada", "done")
    assert (done["eligible"], done["exact"], done["moved"]) == (1, True, 1)
    assert done["filter"] == {"event": str(uncertain), "subscriptions": ["audit_log"]}
    [count] = rows(users_pool, "SELECT subscription, state, bucket, count FROM delivery_counts")
    assert count == {"subscription": "audit_log", "state": "succeeded", "bucket": 0, "count": 1}


def test_if_the_request_does_not_say_who_an_operator_has_confirmed_it(users_pool: Pool, uncertain: UUID) -> None:
    confirm(users_pool, uncertain, by=None)

    assert delivery(users_pool, uncertain)["confirmed_by"] == "an operator"
    assert rows(users_pool, "SELECT requested_by FROM operations") == [{"requested_by": None}]
    assert decisions(users_pool)[0]["envelope"]["data"]["confirmed_by"] == "an operator"


@pytest.mark.parametrize("state", [each for each in STATES if each != "uncertain"])
def test_what_is_not_uncertain_stays_as_it_is_and_the_answer_says_why(users_pool: Pool, state: str) -> None:
    event = write(users_pool, 7, state)
    before = delivery(users_pool, event)

    assert confirm(users_pool, event) == (0, state)

    assert delivery(users_pool, event) == before
    assert decisions(users_pool) == rows(users_pool, "SELECT FROM operations") == []
    assert f"is {state}. Only one that is uncertain" in confirming.not_confirmed(state)


def test_what_does_not_exist_is_not_confirmed(users_pool: Pool) -> None:
    assert confirm(users_pool, UUID(int=1)) is None
    assert decisions(users_pool) == []


def test_it_is_confirmed_once(users_pool: Pool, uncertain: UUID) -> None:
    assert confirm(users_pool, uncertain, "ada") == (1, "uncertain")
    assert confirm(users_pool, uncertain, "grace") == (0, "succeeded")

    assert delivery(users_pool, uncertain)["confirmed_by"] == "ada"
    assert len(decisions(users_pool)) == 1


# Many


@pytest.fixture
def operator(users_database: str) -> Iterator[Operator]:
    """A relay's operator that moves two deliveries in a transaction."""
    with closing(Operator(Listener(users_database, SETTINGS, channel=bulk.CHANNEL), PUBLISHER, chunk=2)) as made:
        yield made


def test_many_are_confirmed_in_chunks_each_with_an_event(users_pool: Pool, operator: Operator) -> None:
    uncertain = [write(users_pool, index, "uncertain") for index in range(5)]
    others = [write(users_pool, 10 + place, state) for place, state in enumerate(("failed", "cancelled", "pending"))]
    late = write(users_pool, 20, "uncertain", ended=-MINUTE)

    number = request(users_pool, "confirm", subscriptions=("audit_log",))

    assert finish(operator) == 3
    assert states_of(users_pool, uncertain) == 5 * [("succeeded", 0)]
    assert states_of(users_pool, [*others, late]) == [
        *(("failed", 0), ("cancelled", 0), ("pending", 0)),
        ("uncertain", 0),
    ]
    done = shown(users_pool, number)
    assert (done["state"], done["action"], done["moved"], done["requested_by"]) == ("done", "confirm", 5, "ada")
    assert len(rows(users_pool, "SELECT FROM operations")) == 1, "no operation for each delivery"
    assert {delivery(users_pool, event)["confirmed_by"] for event in uncertain} == {"ada"}
    assert {each["envelope"]["data"]["event_id"] for each in decisions(users_pool)} == set(map(str, uncertain))


@pytest.mark.parametrize("moved_on", ["state = 'succeeded'", "finished_at = now() + interval '1 minute'"])
def test_what_moves_on_while_a_relay_has_chosen_it_is_left_alone(
    users_pool: Pool, operator: Operator, uncertain: UUID, moved_on: str
) -> None:
    statement = f"UPDATE deliveries SET {moved_on} WHERE event_id = %s AND subscription = 'audit_log'"
    number = request(users_pool, "confirm")
    with ThreadPoolExecutor(1) as relays:
        with users_pool.connection() as connection, connection.transaction():
            connection.execute(statement.encode(), (uncertain,))
            carried_out = relays.submit(finish, operator)
            until(lambda: waits(users_pool) or carried_out.done())
        assert carried_out.result() == 1

    assert (shown(users_pool, number)["state"], shown(users_pool, number)["moved"]) == ("done", 0)
    assert decisions(users_pool) == []


def test_only_uncertain_ones_can_be_confirmed() -> None:
    with pytest.raises(OperationRefused, match="Only deliveries that are uncertain can be confirmed"):
        meant("confirm", Filter(states=("failed", "pending")))


# What doesn't cause the effect again


def test_a_retry_and_a_replay_leave_it_alone(users_pool: Pool, operator: Operator) -> None:
    event = write(users_pool, 7, "uncertain", subscription="welcome_email")
    confirm(users_pool, event, subscription="welcome_email")

    request(users_pool, "retry", states=("failed", "uncertain", "cancelled"))
    request(users_pool, "replay", subscriptions=("welcome_email",), since=LONG_AGO)
    finish(operator)

    assert states_of(users_pool, [event], "welcome_email") == [("succeeded", 0)]


def by_operation(pool: Pool, operator: Operator, since: datetime) -> None:
    request(pool, "replay", subscriptions=("audit_log",), states=("succeeded",), since=since)
    finish(operator)


def by_command(pool: Pool, _: Operator, since: datetime) -> None:
    with pool.connection() as connection:
        connection.execute(operations.REPLAY, operations.replaying(AUDIT_LOG, since, succeeded=True))


@pytest.mark.parametrize("replay", [by_operation, by_command])
def test_a_repeatable_effect_that_is_replayed_is_no_longer_confirmed_by_a_person(
    users_pool: Pool, operator: Operator, uncertain: UUID, replay: Callable[[Pool, Operator, datetime], None]
) -> None:
    confirm(users_pool, uncertain)
    execute(users_pool, "UPDATE deliveries SET finished_at = now() - interval '1 s' WHERE state = 'succeeded'")

    replay(users_pool, operator, LONG_AGO)

    row = delivery(users_pool, uncertain)
    assert (row["state"], row["confirmed_by"]) == ("pending", None)
