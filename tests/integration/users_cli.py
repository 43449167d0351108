"""What the tests of users-api's command line share."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import psycopg
from psycopg.rows import dict_row

from contracts import Event, EventData

Publish = Callable[..., list[Event[EventData]]]


def users_api(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    command = [str(Path(sys.executable).with_name("users-api")), *arguments]
    given = {"PATH": os.environ["PATH"], **environment}
    return subprocess.run(command, env=given, capture_output=True, text=True, check=False, timeout=60)


def printed(run: subprocess.CompletedProcess[str]) -> str:
    assert (run.returncode, run.stderr) == (0, "")
    return run.stdout


def refused(run: subprocess.CompletedProcess[str]) -> str:
    """Return the one line that says what is wrong."""
    assert run.returncode in {1, 2}
    assert run.stdout == ""
    [line] = run.stderr.splitlines()
    return line


def execute(url: str, statement: str, *values: object) -> list[dict[str, object]]:
    with psycopg.connect(url, row_factory=dict_row) as connection:
        cursor = connection.execute(statement.encode(), values)
        return cursor.fetchall() if cursor.description else []


def kill(url: str, event: Event[EventData], subscription: str, state: str = "failed", error: str = "550 no") -> None:
    execute(
        url,
        "UPDATE deliveries SET state = %s, last_error = %s, attempts = 3, crashes = 1, due_at = NULL,"
        " finished_at = now() WHERE event_id = %s AND subscription = %s",
        *(state, error, event.id, subscription),
    )


def states(url: str, subscription: str) -> list[tuple[str, int, int, int]]:
    """Return state, generation, attempts and crashes of a subscription's deliveries, in order of the users."""
    query = (
        "SELECT state, generation, attempts, crashes FROM deliveries JOIN events ON event_id = events.id"
        " WHERE subscription = %s ORDER BY subject"
    )
    with psycopg.connect(url) as connection:
        return connection.execute(query.encode(), (subscription,)).fetchall()
