"""The world that test_delivery_model.py plays with: a clock, relays, workers and what really happened.

PostgreSQL, Redis, the relay's parts and the workers' broker are real; handlers, processes and time are played. A worker
process that "dies" leaves in Redis exactly what a killed one leaves, and one that "hangs" keeps in its hands what a
suspended one keeps. PostgreSQL's clock stands still until the model moves it, and its dice always fall alike, so the
same steps lead to the same rows.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any, Literal, NamedTuple
from uuid import UUID

import psycopg
import pytest
import redis
from dramatiq import MessageProxy
from psycopg.rows import TupleRow, class_row

from contracts import AUDIT_LOG, WELCOME_EMAIL, RetryPolicy
from messaging import HeraldBroker
from messaging.consuming.consumer import Consumer
from messaging.process.database import Pool, open_pool
from messaging.publishing.states import DeliveryState
from messaging.relay.apply import Applier
from messaging.relay.deliveries import Fenced
from messaging.relay.dispatch import Dispatcher
from messaging.relay.reconcile import Reconciler
from messaging.wire import layout, message
from messaging.wire.client import connect
from messaging.wire.message import Reference
from messaging.wire.receipt import Outcome, Receipt
from messaging.wire.script import members
from users_api import PUBLISHER

SUBSCRIPTIONS = (
    WELCOME_EMAIL.model_copy(
        update={"group_size": 2, "retry": RetryPolicy(max_attempts=3, first_delay=30, max_delay=60, max_crashes=2)}
    ),
    AUDIT_LOG.model_copy(
        update={"group_size": 3, "retry": RetryPolicy(max_attempts=4, first_delay=30, max_delay=60, max_crashes=3)}
    ),
)
_SUBSCRIPTION = {each.name: each for each in SUBSCRIPTIONS}
QUEUES = tuple(each.queue for each in SUBSCRIPTIONS)
BEGINNING = datetime(2026, 1, 1, tzinfo=UTC)

CLOCK_AND_DICE = """
CREATE TABLE clock (shows timestamptz NOT NULL);
CREATE FUNCTION public.now() RETURNS timestamptz STABLE LANGUAGE sql AS 'SELECT shows FROM public.clock';
CREATE FUNCTION public.random() RETURNS float8 STABLE LANGUAGE sql AS 'SELECT 1.0::float8';
INSERT INTO clock VALUES ('2026-01-01 00:00Z');
DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET search_path = public, pg_catalog', current_database()); END $$
"""


class Key(NamedTuple):
    """Which delivery."""

    event_id: UUID
    subscription: str


@dataclass(frozen=True)
class Row:
    """A delivery as PostgreSQL has it."""

    event_id: UUID
    subscription: str
    state: DeliveryState
    attempts: int
    crashes: int
    dispatch: int
    generation: int
    message_id: str | None
    last_error: str | None
    due_at: datetime | None
    lease_until: datetime | None
    finished_at: datetime | None
    history: list[list[Any]]
    """The attempts that are recorded, oldest first: ordinal, generation, number, outcome."""

    @property
    def key(self) -> Key:
        return Key(self.event_id, self.subscription)

    @property
    def counts(self) -> tuple[int, int, int, int]:
        return self.attempts, self.crashes, self.dispatch, self.generation


class Killed(BaseException):  # no error: what becomes of a relay's thread
    """The relay's process ends here, so nothing that it would still have done is done."""


class Relay:
    """One relay process. `stalled`: what it has claimed and not yet enqueued, as when it is suspended in between."""

    def __init__(self, pool: Pool, client: redis.Redis) -> None:
        self._pool = pool
        self._redis = client
        self.start()

    def start(self) -> None:
        """Begin without memory, as a process does."""
        self.stalled: list[Any] = []
        self.dispatcher = Dispatcher(self._pool, self._redis, SUBSCRIPTIONS, PUBLISHER)
        self.applier = Applier(self._pool, SUBSCRIPTIONS)
        self.reconciler = Reconciler(self._pool, self._redis, SUBSCRIPTIONS, PUBLISHER)

    def stall(self) -> None:
        """Claim, and get no further."""
        self.stalled += self.dispatcher._claim()

    def go_on(self, *, answered: bool) -> None:
        """Enqueue what was claimed long ago, whatever has become of it. `answered`: else Redis isn't there."""
        claimed, self.stalled = self.stalled, []
        if answered:
            self.dispatcher._enqueue(claimed)
        else:
            self.dispatcher._release(claimed)

    def dispatch_in_trouble(self, error: BaseException, *, written: bool) -> None:
        """Dispatch, and have `error` instead of Redis' answer. `written`: Redis has the messages all the same."""
        enqueue = self.dispatcher._enqueue

        def fail(claimed: list[Any]) -> None:
            if written:
                enqueue(claimed)
            raise error

        self._interrupted("dispatcher", "_enqueue", fail, self.dispatcher.dispatch)

    def die_while_looking(self, when: Literal["_taken", "_missing"]) -> None:
        """Reconcile, and be killed between Redis' answer and PostgreSQL's."""
        ask = getattr(self.reconciler, when)

        def ask_and_die(*about: Any) -> None:
            ask(*about)
            raise Killed

        self._interrupted("reconciler", when, ask_and_die, self.reconciler.reconcile)

    def look_slowly(self, meanwhile: Callable[[], None]) -> None:
        """Reconcile, while others do things between finding what is missing and saying so."""
        ask = self.reconciler._missing

        def ask_slowly(leased: Any) -> Any:
            missing = ask(leased)
            meanwhile()
            return missing

        self._interrupted("reconciler", "_missing", ask_slowly, self.reconciler.reconcile)

    def _interrupted(self, part: str, step: str, instead: Callable[..., Any], act: Callable[[], object]) -> None:
        with pytest.MonkeyPatch.context() as patched:
            patched.setattr(getattr(self, part), step, instead)
            try:
                act()
            except Killed:
                self.start()
            except redis.RedisError:
                pass


@dataclass
class Held:
    """A message in a worker's hands: `fetched`, then `begun` by a handler, then `ended` but not yet acknowledged."""

    queue: str
    message: MessageProxy
    stage: Literal["fetched", "begun", "ended"] = "fetched"

    @property
    def references(self) -> list[Reference]:
        return message.contents(self.message._message)

    @property
    def keys(self) -> list[Key]:
        return [key_of(each) for each in self.references]


class Worker:
    """A worker process: a real broker and real consumers, with no threads. It lives again under another id."""

    def __init__(self, name: str, broker: HeraldBroker) -> None:
        self._name = name
        self.broker = broker
        for queue in QUEUES:
            broker.declare_queue(queue)
        self._lives = 0
        self.start()

    def start(self) -> None:
        self._lives += 1
        self.broker.broker_id = f"{self._name}.{self._lives}"
        self.broker.held.clear()
        self.hands: list[Held] = []
        self.hangs = False
        self._consumers = {queue: self._consume(queue) for queue in QUEUES}

    def fetch(self, queue: str) -> None:
        """Fetch what there is room for. An empty queue would be waited for, so it isn't asked."""
        consumer = self._consumers[queue]
        if not consumer._handed_back:
            consumer._hand_back_lost_fetch()
        if not self.broker.client.llen(layout.queue_key(queue)) or consumer.outstanding_message_count >= 2:
            return
        while fetched := next(consumer):
            self.hands.append(Held(queue, fetched))
            if not consumer.message_cache:
                return

    def fetch_all(self) -> None:
        for queue in QUEUES:
            self.fetch(queue)

    def lose_fetches(self) -> None:
        """Fetch, but the answers never arrive and the connection is made anew."""
        for queue, consumer in self._consumers.items():
            if self.broker.client.llen(layout.queue_key(queue)):
                consumer._inbox.take(1)
                consumer._handed_back = False

    def acknowledge(self, held: Held) -> None:
        self.hands.remove(held)
        self._consumers[held.queue].ack(held.message)

    def die(self) -> None:
        """Be killed, and start again."""
        self.fall_silent()
        self.start()

    def fall_silent(self) -> None:
        """Let so much time pass without a heartbeat that Redis forgets it."""
        self.broker.client.delete(layout.heartbeat_key(self.broker.broker_id))

    def hang(self) -> None:
        self.fall_silent()
        self.hangs = True

    def wake_up(self) -> None:
        for consumer in self._consumers.values():
            consumer._inbox.beat()
        self.hangs = False

    def shut_down(self) -> None:
        """End as told: hand back what no handler began, and leave if nothing else is in hand."""
        for queue, consumer in self._consumers.items():
            consumer.requeue([each.message for each in self.hands if each.queue == queue and each.stage == "fetched"])
        self.broker.leave()
        self.die()

    def _consume(self, queue: str) -> Consumer:
        consumer = self.broker.consume(queue, prefetch=2)
        assert isinstance(consumer, Consumer)
        return consumer


@dataclass
class World:
    """Everything that outlives an example, and what really happened in this one.

    `effects`: deliveries whose effect is there. `begun`: how often a handler really began each. `post`: receipts that
    are under way.
    """

    database: psycopg.Connection[TupleRow]
    pool: Pool
    redis: redis.Redis
    workers: tuple[Worker, ...]
    relays: tuple[Relay, ...] = ()
    seconds: float = 0.0
    effects: set[Key] = field(default_factory=set)
    begun: Counter[Key] = field(default_factory=Counter)
    post: list[Receipt] = field(default_factory=list)

    def begin_again(self) -> None:
        """Forget everything."""
        self.database.execute("DELETE FROM deliveries")
        self.database.execute("DELETE FROM events")
        self.database.execute("DELETE FROM delivery_counts")
        self.database.execute("UPDATE clock SET shows = %s", (BEGINNING,))
        self.redis.flushall()
        self.relays = (Relay(self.pool, self.redis), Relay(self.pool, self.redis))
        self.seconds = 0.0
        self.effects.clear()
        self.begun.clear()
        self.post.clear()
        for worker in self.workers:
            worker.start()

    def rows(self) -> dict[Key, Row]:
        query = (
            "SELECT event_id, subscription, state, attempts, crashes, dispatch, generation, message_id, last_error,"
            " due_at, lease_until, finished_at, (SELECT coalesce(json_agg(json_build_array("
            "ordinal, generation, number, outcome) ORDER BY ordinal), '[]') FROM attempts"
            " WHERE attempts.event_id = deliveries.event_id AND attempts.subscription = deliveries.subscription"
            ") AS history FROM deliveries"
        )
        return {row.key: row for row in self.database.cursor(row_factory=class_row(Row)).execute(query)}

    def counted(self) -> dict[str, int]:
        """Return how many deliveries the relays have counted, by the state that they moved to."""
        return dict(
            self.database.execute("SELECT state, sum(count)::int FROM delivery_counts GROUP BY state").fetchall()
        )

    def now(self) -> datetime:
        row = self.database.execute("SELECT now()").fetchone()
        assert row is not None
        now: datetime = row[0]
        return now

    def pass_time(self, seconds: float) -> None:
        """Let time pass, for PostgreSQL and for whoever watches workers."""
        self.seconds += seconds
        self.database.execute("UPDATE clock SET shows = shows + make_interval(secs => %s)", (seconds,))

    def begin_handlers(self, held: Held) -> None:
        """Begin with everything in a message."""
        held.stage = "begun"
        self.begun.update(held.keys)
        self.post += [_receipt(each, "started") for each in held.references]

    def end_handlers(self, held: Held, ends: Iterable[Outcome], after: float | None) -> None:
        """Let each delivery of a message end as told, those that succeed with their effect."""
        held.stage = "ended"
        for reference, key, outcome in zip(held.references, held.keys, ends, strict=False):
            if outcome == "succeeded":
                self.effects.add(key)
            self.post.append(_receipt(reference, outcome, after if outcome == "retry" else None))

    def stored(self) -> set[str]:
        """Return the ids of all messages that Redis holds, waiting or in hands."""
        keys = (key for queue in QUEUES for key in self.redis.hkeys(layout.messages_key(queue)))
        return {key.decode() if isinstance(key, bytes) else key for key in keys}

    def held_by_silent(self) -> set[str]:
        """Return the ids of all that lie in the hands of a worker whose heart doesn't beat."""
        holders = (each.rpartition("/") for each in members(self.redis, layout.WORKERS))
        held = (
            members(self.redis, layout.unacked_key(worker, queue))
            for worker, _, queue in holders
            if not self.redis.exists(layout.heartbeat_key(worker))
        )
        return set().union(*held) & self.stored()


@contextmanager
def world(database_url: str, redis_url: str) -> Iterator[World]:
    """Make a world on a migrated, empty database and a Redis."""
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute(CLOCK_AND_DICE)
    client = connect(redis_url)
    workers = tuple(Worker(f"worker-{number}", HeraldBroker(redis_url)) for number in (1, 2))
    with (
        psycopg.connect(database_url, autocommit=True) as database,
        open_pool(database_url, size=2, name="model") as pool,
        pytest.MonkeyPatch.context() as patched,
    ):
        made = World(database, pool, client, workers)
        patched.setattr("messaging.relay.reconcile.time", SimpleNamespace(monotonic=lambda: made.seconds))
        patched.setattr("messaging.wire.layout.HEARTBEAT_SECONDS", 3600)  # hearts stop when the model says so
        yield made
    client.close()
    for worker in workers:
        worker.broker.close()


def key_of(named: Fenced) -> Key:
    return Key(named.event_id, named.subscription)


def policy(row: Row) -> RetryPolicy:
    return _SUBSCRIPTION[row.subscription].retry


def group_size(row: Row) -> int:
    return _SUBSCRIPTION[row.subscription].group_size


def messages_of(rows: Iterable[Row]) -> list[list[Row]]:
    """Put together what travels in one message."""
    found: dict[str | None, list[Row]] = {}
    for row in rows:
        found.setdefault(row.message_id, []).append(row)
    return list(found.values())


def _receipt(reference: Reference, outcome: Outcome, after: float | None = None) -> Receipt:
    error = None if outcome in ("started", "succeeded") else f"the handler said: {outcome}"
    return Receipt(reference.event_id, reference.subscription, reference.dispatch, outcome, error, after)
