"""Group commit on a real PostgreSQL: who shares a transaction with whom, and that nobody is a neighbour's ruin."""

import socket
from contextlib import ExitStack
from typing import Any

import httpx
import psycopg
import pytest
from tests.patience import PATIENCE, until

from .crowd import Crowd, Reply, address, statuses
from .live_api import LiveApi, is_problem, serving

NAMES = ("ann", "bob", "cat", "dan")


def consistent(api: LiveApi) -> int:
    """Return how many users there are, each with all that belongs to it."""
    users, events, deliveries = api.counts()
    assert (events, deliveries) == (users, 2 * users)
    return users


# Who shares a transaction


def test_who_comes_while_a_statement_is_under_way_shares_the_next(api: LiveApi, crowd: Crowd) -> None:
    with crowd.behind("first") as first:
        others = crowd.come(*NAMES)

    assert statuses([first, *others]) == [201] * 5
    by_whom = crowd.transactions()
    assert len({by_whom[name] for name in NAMES}) == 1
    assert by_whom["first"] != by_whom["ann"], "who came alone went at once"
    assert consistent(api) == 5


def test_who_comes_alone_has_a_transaction_alone(api: LiveApi, crowd: Crowd) -> None:
    for name in NAMES:
        assert crowd.come(name)[0].result().status_code == 201

    assert len(set(crowd.transactions().values())) == len(NAMES)


def test_all_of_a_registration_is_one_transaction(api: LiveApi, crowd: Crowd) -> None:
    with crowd.behind("first"):
        others = crowd.come(*NAMES)
    assert statuses(others) == [201] * 4

    written = api.rows(
        "SELECT xmin::text FROM users WHERE email <> 'first@example.com'"
        " UNION SELECT xmin::text FROM idempotency_keys WHERE key <> 'first'"
        " UNION SELECT events.xmin::text FROM events WHERE envelope->'data'->>'email' <> 'first@example.com'"
        " UNION SELECT deliveries.xmin::text FROM deliveries JOIN events ON events.id = event_id"
        " WHERE envelope->'data'->>'email' <> 'first@example.com'"
    )
    assert len(written) == 1


# One that PostgreSQL refuses


def test_one_that_is_refused_harms_no_neighbour(api: LiveApi, crowd: Crowd) -> None:
    with api.failing("users", how=f"IF NEW.email = '{address('bad')}' THEN RAISE 'no'; END IF"):
        with crowd.behind("first") as first:
            ann, bad, bob = crowd.come("ann", "bad", "bob")

        assert statuses([first, ann, bob]) == [201] * 3
        assert is_problem(bad.result(), 500)
    assert crowd.transactions().keys() == {"first", "ann", "bob"}
    assert consistent(api) == 3
    assert {row["key"] for row in api.rows("SELECT key FROM idempotency_keys")} == {"first", "ann", "bob"}


def test_one_that_must_wait_for_somebody_else_holds_up_no_neighbour_for_long(api: LiveApi, crowd: Crowd) -> None:
    with crowd.held_up("slow"):
        with crowd.behind("first") as first:
            ann, slow, bob = crowd.come("ann", "slow", "bob")

        assert statuses([first, ann, bob]) == [201] * 3
        assert is_problem(slow.result(), 503)
    assert crowd.transactions().keys() == {"first", "ann", "bob"}
    assert consistent(api) == 3
    assert statuses(crowd.come("slow")) == [201], "neither its address nor its key is used up"


# The same twice


@pytest.mark.parametrize("again", ["maya@example.com", "MAYA@Example.com"])
def test_of_an_address_twice_in_a_group_one_is_registered(api: LiveApi, crowd: Crowd, again: str) -> None:
    with crowd.behind("first"):
        replies = [crowd.people.submit(api.register), crowd.people.submit(api.register, email=again)]
        until(lambda: crowd.arrived == 3)

    assert sorted(statuses(replies)) == [201, 409]
    assert consistent(api) == 2


def both_hear_the_same(first: Reply, second: Reply, crowd: Crowd, http: httpx.Client) -> None:
    """Who came first is registered; the other hears of it, and so does who asks again, wherever."""
    assert statuses([first, second]) == [201, 201]
    heard = [first.result().json(), second.result().json()]
    heard += [crowd.register("maya", client).json() for client in (crowd.api.http, http)]
    assert len({each["id"] for each in heard}) == 1


def test_of_a_key_in_two_processes_at_once_one_registers_and_both_hear_of_it(api: LiveApi, crowd: Crowd) -> None:
    with serving(api.database.info.dsn) as other:
        with crowd.held_up("maya"):
            [first], [second] = crowd.come("maya"), crowd.come("maya", http=other)
            crowd.until_waiting(2)

        both_hear_the_same(first, second, crowd, other)
    assert consistent(api) == 1


def test_a_key_that_another_process_is_using_harms_no_neighbour(api: LiveApi, crowd: Crowd) -> None:
    with serving(api.database.info.dsn) as other:
        with crowd.held_up("maya"):
            [second] = crowd.come("maya", http=other)
            with crowd.behind("first", already=1) as first:
                ann, maya, bob = crowd.come("ann", "maya", "bob")
            crowd.until_waiting(2)

        assert statuses([first, ann, bob]) == [201] * 3
        both_hear_the_same(maya, second, crowd, other)
    assert consistent(api) == 4


# Those who don't wait


def test_who_hangs_up_before_the_group_leaves_is_no_trouble(api: LiveApi, crowd: Crowd) -> None:
    with crowd.behind("first") as first:
        [ann] = crowd.come("ann")
        crowd.come_and_hang_up("gone")
        [bob] = crowd.come("bob")

    assert statuses([first, ann, bob]) == [201] * 3
    assert statuses(crowd.come("next")) == [201]
    assert consistent(api) >= 4


def test_who_hangs_up_while_the_group_is_on_its_way_is_no_trouble(api: LiveApi, crowd: Crowd) -> None:
    with crowd.held_up("bob"):
        with crowd.behind("first") as first:
            crowd.come_and_hang_up("gone")
            replies = crowd.come("ann", "bob")
        first.result()
        crowd.until_waiting(1)

    assert statuses([first, *replies]) == [201] * 3
    assert statuses(crowd.come("next")) == [201]
    assert consistent(api) >= 4


def test_who_asks_alone_and_hangs_up_is_no_trouble(api: LiveApi, crowd: Crowd) -> None:
    with crowd.held_up("gone"):
        crowd.come_and_hang_up("gone")
        crowd.until_waiting(1)
        replies = crowd.come(*NAMES)

    assert statuses(replies) == [201] * 4
    assert consistent(api) >= 4


# Ends


def let_go_when_closed(port: int, holder: psycopg.Connection[Any]) -> None:
    """Wait until the server takes no more connections, and let its statement go on."""

    def closed() -> bool:
        with socket.socket() as client:
            return client.connect_ex(("127.0.0.1", port)) != 0

    until(closed)
    holder.rollback()


def test_a_shutdown_answers_those_whose_group_is_on_its_way_and_those_behind(api: LiveApi, crowd: Crowd) -> None:
    with crowd.held_up("first") as holder, ExitStack() as stack:
        with serving(api.database.info.dsn) as http:
            clients = stack.enter_context(httpx.Client(base_url=http.base_url, timeout=PATIENCE))
            replies = crowd.come("first", http=clients)
            crowd.until_waiting(1)
            replies += crowd.come(*NAMES, http=clients)
            letting_go = crowd.people.submit(let_go_when_closed, http.base_url.port or 0, holder)

        letting_go.result()
        assert statuses(replies) == [201] * 5
    assert consistent(api) == 5
    assert len(set(crowd.transactions().values())) == 2


def test_when_the_connection_breaks_under_a_group_all_of_it_is_told_so_and_nothing_is_written(
    api: LiveApi, crowd: Crowd
) -> None:
    with crowd.held_up("ann"):
        with crowd.behind("first") as first:
            replies = crowd.come(*NAMES)
        assert statuses([first]) == [201]
        crowd.until_waiting(1)
        api.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
            " AND datname = current_database() AND application_name = 'herald-api'"
        )

        assert all(is_problem(each.result(), 503) for each in replies)
        assert crowd.waiting() == 0, "nobody is tried again"
    assert crowd.transactions().keys() == {"first"}
    assert consistent(api) == 1

    assert statuses(crowd.come(*NAMES)) == [201] * 4
    assert consistent(api) == 5
