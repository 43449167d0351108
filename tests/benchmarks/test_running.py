"""What the harness waits for: the effects of what was registered, and of nothing that was answered 503."""

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest

from benchmarks.errors import BenchmarkError
from benchmarks.places import PEERS
from benchmarks.running import Running
from benchmarks.sink_process import SinkProcess
from benchmarks.systems import Place, System
from benchmarks.table import in_words
from devstack.herald import Command
from devstack.ports import free_port
from devstack.postgres import Postgres
from devstack.redis_server import RedisServer

Run = Callable[[str], Running]


@pytest.fixture
def run(postgres: Postgres, redis_server: RedisServer, tmp_path: Path) -> Iterator[Run]:
    """Start a system that answers, for the registration of a number: `run("503 if number % 3 else 201")`."""
    started = []

    def start(answer: str) -> Running:
        context = running(postgres, redis_server, tmp_path, answer)
        started.append(context)
        return context.__enter__()

    yield start
    for context in started:
        context.__exit__(None, None, None)


@contextmanager
def running(postgres: Postgres, redis_server: RedisServer, directory: Path, answer: str) -> Iterator[Running]:
    postgres.create_database("bench")
    url = postgres.url("bench")
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute((PEERS / "schema.sql").read_bytes())
    sink = SinkProcess(directory / "sink.log")
    place = Place(dict.fromkeys(("users", "auditor"), url), redis_server.url, sink.url, free_port())
    argv = (sys.executable, str(Path(__file__).with_name("moody.py")), str(place.port), str(sink.port), answer)
    command = Command("web", argv, {**os.environ, "DATABASE_URL": url})
    system = Running(System("moody", "Moody", lambda _: [command]), place, postgres, redis_server, sink, directory)
    try:
        sink.start()
        system.start()
        yield system
    finally:
        system.kill()
        sink.kill()
        with psycopg.connect(postgres.url(), autocommit=True) as connection:
            connection.execute("DROP DATABASE bench WITH (FORCE)")


def test_what_was_answered_503_is_owed_nothing_unless_it_was_committed(run: Run) -> None:
    system = run("201 if number % 3 else 503")
    system.begin()

    answers = system.register(30, "burst", concurrency=4)
    system.until_done(20)

    assert (len(answers.answered), len(answers.records)) == (20, 30)
    assert system.sink.count() == system.audited_since() == 20


def test_a_503_that_was_committed_after_all_is_owed_its_effects(run: Run) -> None:
    system = run("201 if number % 3 else 'committed'")
    system.begin()

    answers = system.register(30, "burst", concurrency=4)
    system.until_done(20)

    assert len(answers.answered) == 20
    assert system.sink.count() == system.audited_since() == 30


@pytest.mark.parametrize("answer", ["201 if number % 3 else 500", "201 if prefix == 'first' else 503"])
def test_any_other_answer_or_503_to_all_is_no_measurement(run: Run, answer: str) -> None:
    system = run(answer)
    system.begin()

    with pytest.raises(BenchmarkError, match="Moody: answers by status: "):
        system.register(30, "burst", concurrency=4)


def test_a_line_says_how_many_were_answered_503() -> None:
    assert "3 answered 503" in in_words({"burst.posts": [900], "burst.refused": [3]})
