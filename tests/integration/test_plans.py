"""Moves find their deliveries by key, also with a plan that was made while hardly any delivery was in flight.

A connection keeps its plans. One that read the index of all deliveries in flight for each receipt would take the square
of their number when an outage fills the queues.
"""

import re

import pytest
from tests.integration.conftest import RelayParts

from messaging.relay import deliveries, dispatch_ends
from messaging.relay.relay import SETTINGS

from .workers import Publish

MOVES = {
    "started": deliveries.STARTED,
    "released": deliveries.RELEASE,
    "succeeded": dispatch_ends.SUCCEEDED,
    "failed": dispatch_ends.FAILED,
    "retried": dispatch_ends.RETRIED,
    "crashed": dispatch_ends.CRASHED,
    "due again": dispatch_ends.DUE_AGAIN,
}


def plan(relay: RelayParts, statement: str) -> str:
    """Return the plan that a connection of a relay would keep for a statement, whatever its parameters."""
    names = list(dict.fromkeys(re.findall(r"%\((\w+)\)s", statement)))
    numbered = re.sub(r"%\((\w+)\)s", lambda found: f"${names.index(found[1]) + 1}", statement)
    with relay.pool.connection() as connection:
        for setting in (*SETTINGS, "plan_cache_mode = force_generic_plan"):
            connection.execute(f"SET LOCAL {setting}".encode())
        connection.execute(f"PREPARE move AS {numbered}".encode())
        lines = connection.execute(f"EXPLAIN EXECUTE move ({', '.join(['NULL'] * len(names))})".encode()).fetchall()
        connection.execute("DEALLOCATE move")
    return "\n".join(line for (line,) in lines)


@pytest.mark.parametrize("move", MOVES)
def test_a_move_reads_by_key(relay: RelayParts, publish_users: Publish, move: str) -> None:
    publish_users(1000)
    with relay.pool.connection() as connection:
        connection.autocommit = True
        connection.execute("VACUUM ANALYZE deliveries")  # none is in flight

    made = plan(relay, MOVES[move])

    assert "using deliveries_pkey on deliveries" in made
    assert "deliveries_leased" not in made
