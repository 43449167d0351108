"""Two publishers, each with a database and relays of its own, share one Redis, its queues and a worker process."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
import redis
from tests.conftest import user_registered
from tests.patience import until

from contracts import Event, EventData
from devstack.redis_server import RedisServer
from messaging import publish
from messaging.wire import layout

PUBLISHERS = ("users-api", "accounts-api")

SUBSCRIPTIONS = """
from contracts import AUDIT_LOG, WELCOME_EMAIL, RetryPolicy

RETRY = RetryPolicy(max_attempts=20, first_delay=0.01, max_delay=0.1)
SUBSCRIPTIONS = [each.model_copy(update={"retry": RETRY, "group_size": 5}) for each in (AUDIT_LOG, WELCOME_EMAIL)]
"""

RELAY = """
import sys
import threading

from messaging.process import logs
from messaging.relay import run
from two_subscriptions import SUBSCRIPTIONS

logs.configure("INFO", "json")
run(sys.argv[1], sys.argv[2], SUBSCRIPTIONS, threading.Event(), publisher=sys.argv[3])
"""

WORKER = """
import os
import time

import dramatiq

from messaging import HeraldBroker, subscribe
from two_subscriptions import SUBSCRIPTIONS

broker = HeraldBroker(os.environ["REDIS_URL"])
dramatiq.set_broker(broker)
for subscription in SUBSCRIPTIONS:
    subscribe(broker, subscription, lambda _: time.sleep(0.02))
"""


class World:
    """Both publishers' databases, and the processes that run."""

    def __init__(self, folder: Path, redis_url: str, databases: dict[str, str]) -> None:
        self._folder = folder
        self._redis_url = redis_url
        self._databases = databases
        self.processes: dict[str, subprocess.Popen[bytes]] = {}
        for name, text in (("two_subscriptions", SUBSCRIPTIONS), ("two_relay", RELAY), ("two_worker", WORKER)):
            (folder / f"{name}.py").write_text(text)

    def start_relay(self, publisher: str) -> int:
        return self._start(publisher, "two_relay.py", self._databases[publisher], self._redis_url, publisher)

    def start_worker(self) -> int:
        return self._start("worker", "-m", "dramatiq", "two_worker", "--processes", "1", "--threads", "2")

    def _start(self, name: str, *arguments: str) -> int:
        environment = {**os.environ, "PYTHONPATH": str(self._folder), "REDIS_URL": self._redis_url}
        with (self._folder / f"{name}.log").open("ab") as log:
            self.processes[name] = subprocess.Popen(
                [sys.executable, *arguments],
                cwd=self._folder,
                env=environment,
                stdout=log,
                stderr=log,
                start_new_session=True,  # dramatiq's processes end together
            )
        return self.processes[name].pid

    def kill(self, name: str) -> None:
        process = self.processes.pop(name)
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()

    def publish(self, number: int) -> None:
        """Let each publisher publish so many events: two deliveries each."""
        for url in self._databases.values():
            events: list[Event[EventData]] = [user_registered(index) for index in range(number)]
            with psycopg.connect(url) as connection:
                connection.execute(*publish(events))

    def deliveries(self, publisher: str) -> list[tuple[Any, ...]]:
        """Return of each delivery: state, attempts, crashes, dispatch."""
        with psycopg.connect(self._databases[publisher]) as connection:
            return connection.execute("SELECT state, attempts, crashes, dispatch FROM deliveries").fetchall()

    def all_succeeded(self) -> bool:
        return all(row[0] == "succeeded" for publisher in PUBLISHERS for row in self.deliveries(publisher))

    def anything_runs(self) -> bool:
        return any(row[0] == "running" for publisher in PUBLISHERS for row in self.deliveries(publisher))

    def log(self, name: str) -> str:
        return (self._folder / f"{name}.log").read_text()


@pytest.fixture
def world(
    tmp_path: Path, redis_server: RedisServer, redis_client: redis.Redis, new_database: Callable[[str], str]
) -> Iterator[World]:
    made = World(tmp_path, redis_server.url, {publisher: new_database("users") for publisher in PUBLISHERS})
    yield made
    for name in list(made.processes):
        made.kill(name)


def readers_of(client: redis.Redis, publisher: str) -> set[int]:
    """Return the process ids of the relays that have read a publisher's receipts."""
    found = client.xinfo_consumers(layout.receipts_key(publisher), "relay")
    return {int(each["name"].rpartition(b".")[2]) for each in found}


def held_publishers(client: Any) -> set[str]:
    """Return whose messages workers hold just now."""
    keys = client.scan_iter(f"{layout.UNACKED}.*", count=1000)
    return {each.partition(b"/")[0].decode() for key in keys for each in client.smembers(key)}


def test_publishers_do_not_take_each_others_receipts(world: World, redis_client: redis.Redis) -> None:
    relays = {publisher: world.start_relay(publisher) for publisher in PUBLISHERS}
    world.start_worker()

    world.publish(40)

    until(world.all_succeeded)  # before a lease has run out
    for publisher in PUBLISHERS:
        assert world.deliveries(publisher) == [("succeeded", 1, 0, 1)] * 80
        assert readers_of(redis_client, publisher) == {relays[publisher]}


def test_whatever_dies_each_publishers_deliveries_end_and_are_counted_rightly(
    world: World, redis_client: redis.Redis
) -> None:
    for publisher in PUBLISHERS:
        world.start_relay(publisher)
    world.start_worker()
    world.publish(60)

    until(lambda: held_publishers(redis_client) == set(PUBLISHERS) and world.anything_runs())
    world.kill("worker")
    world.start_worker()
    until(world.all_succeeded)
    until(lambda: held_publishers(redis_client) == set())
    until(lambda: redis_client.scard(layout.WORKERS) == 2)  # the new worker's queues: the dead one is forgotten

    world.publish(60)
    until(lambda: held_publishers(redis_client) == set(PUBLISHERS))
    world.kill(PUBLISHERS[0])
    world.publish(20)
    world.start_relay(PUBLISHERS[0])
    until(world.all_succeeded)

    world.publish(60)
    until(lambda: held_publishers(redis_client) == set(PUBLISHERS))
    redis_client.flushall()
    world.publish(20)
    until(world.all_succeeded)

    for publisher in PUBLISHERS:
        deliveries = world.deliveries(publisher)
        assert len(deliveries) == 2 * (60 + 60 + 20 + 60 + 20)
        assert {attempts - crashes for _, attempts, crashes, _ in deliveries} == {1}
        assert readers_of(redis_client, publisher) == {world.processes[publisher].pid}
    crashed = sum(row[2] for publisher in PUBLISHERS for row in world.deliveries(publisher))
    assert crashed <= 10, "what the two threads of the killed worker had begun, and nothing else"


def test_a_relay_names_the_subscriptions_that_it_does_not_know(world: World) -> None:
    world.publish(3)
    with psycopg.connect(world._databases["users-api"]) as connection:
        connection.execute("UPDATE deliveries SET subscription = 'text_message' WHERE subscription = 'audit_log'")

    world.start_relay("users-api")

    until(lambda: "subscription.unknown" in world.log("users-api"))
    [said] = [json.loads(each) for each in world.log("users-api").splitlines() if "subscription.unknown" in each]
    assert (said["level"], said["subscription"], said["count"]) == ("warning", "text_message", 3)
