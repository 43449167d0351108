"""The relay's parts on real PostgreSQL and Redis, one step at a time: no clock is waited for, leases are aged."""

import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import pytest
import redis

from contracts import AUDIT_LOG, WELCOME_EMAIL, Event, EventData, RetryPolicy, Subscription, UserRegistered
from devstack.postgres import Postgres
from devstack.redis_server import RedisServer
from messaging import HeraldBroker, subscribe
from messaging.process import session
from messaging.process.database import Pool
from messaging.relay.apply import Applier
from messaging.relay.dispatch import Dispatcher
from messaging.relay.receipt_reader import ReceiptReader
from messaging.relay.reconcile import Reconciler
from messaging.relay.sweep import Sweeper
from messaging.wire import layout, message
from messaging.wire.receipt import Outcome, Receipt
from notifier.senders.smtp import Sender
from users_api import PUBLISHER

from .audit_world import Audit
from .crowd import Crowd, gathered
from .live_api import LiveApi, live_api
from .mails import Connect
from .scripted_smtp import ScriptedSmtpServer
from .workers import Consume, run_relay, working

Subscriptions = tuple[Subscription[EventData], ...]

QUICK = RetryPolicy(max_attempts=3, first_delay=0.01, max_delay=0.05, max_crashes=2)
QUICK_SUBSCRIPTIONS = tuple(
    each.model_copy(update={"retry": QUICK, "group_size": size})
    for each, size in ((WELCOME_EMAIL, 10), (AUDIT_LOG, 100))
)


@dataclass
class RelayParts:
    """One relay, by hand."""

    pool: Pool
    redis: redis.Redis
    dispatcher: Dispatcher
    applier: Applier
    reconciler: Reconciler
    reader: ReceiptReader
    sweeper: Sweeper

    def row(self, event_id: object, subscription: str = "audit_log") -> dict[str, Any]:
        """Return a delivery as it is now, `due_in`, `lease_in`: seconds from now."""
        query = (
            "SELECT state, attempts, crashes, dispatch, generation, message_id,"
            " last_error, reference, queued_at, started_at, finished_at,"
            " extract(epoch FROM due_at - now())::float8 AS due_in,"
            " extract(epoch FROM lease_until - now())::float8 AS lease_in"
            " FROM deliveries WHERE event_id = %s AND subscription = %s"
        )
        with self.pool.connection() as connection:
            cursor = connection.execute(query, (event_id, subscription))
            values = cursor.fetchone()
            assert values is not None
            return dict(zip([column.name for column in cursor.description or ()], values, strict=True))

    def execute(self, statement: str, *values: object) -> None:
        with self.pool.connection() as connection:
            connection.execute(statement.encode(), values)

    def messages(self, queue: str) -> list[list[message.Reference]]:
        """Return what each message waiting in a queue carries, in order."""
        ids = self.redis.lrange(layout.queue_key(queue), 0, -1)
        stored = [self.redis.hget(layout.messages_key(queue), each) for each in ids]
        return [message.references(data) for data in stored if isinstance(data, bytes)]

    def tell(self, event_id: Any, outcome: Outcome, dispatch: int = 1, **news: Any) -> None:
        """Apply one receipt about an audit_log delivery."""
        self.applier.apply([Receipt(event_id, "audit_log", dispatch, outcome, **news)])

    def age_leases(self) -> None:
        """Let every lease run out now."""
        self.execute("UPDATE deliveries SET lease_until = now() - interval '1 second' WHERE lease_until IS NOT NULL")

    def age_retries(self) -> None:
        """Let every backoff be over now."""
        self.execute("UPDATE deliveries SET due_at = now() WHERE due_at IS NOT NULL")


@pytest.fixture
def subscriptions() -> Subscriptions:
    return QUICK_SUBSCRIPTIONS


def relay_parts(
    pool: Pool, client: redis.Redis, subscriptions: Subscriptions, publisher: str = PUBLISHER
) -> RelayParts:
    """Make the parts of a relay that has been running for a while, so that it knows that Redis is not new."""
    parts = RelayParts(
        pool,
        client,
        Dispatcher(pool, client, subscriptions, publisher),
        Applier(pool, subscriptions),
        Reconciler(pool, client, subscriptions, publisher),
        ReceiptReader(client, "test", publisher),
        Sweeper(pool, client, subscriptions, publisher),
    )
    parts.reconciler.reconcile()
    return parts


@pytest.fixture
def relay(users_pool: Pool, redis_client: redis.Redis, subscriptions: Subscriptions) -> RelayParts:
    return relay_parts(users_pool, redis_client, subscriptions)


@pytest.fixture
def queued(relay: RelayParts, publish_users: Callable[..., list[Event[UserRegistered]]]) -> UUID:
    """An audit_log delivery in its first dispatch."""
    [event] = publish_users(1)
    relay.dispatcher.dispatch()
    return event.id


@pytest.fixture(scope="module")
def running_api(postgres: Postgres, request: pytest.FixtureRequest) -> Iterator[LiveApi]:
    """users-api on a database of the module's own."""
    with live_api(postgres, request.module.__name__.rpartition(".")[2]) as running:
        yield running


@pytest.fixture
def api(running_api: LiveApi) -> LiveApi:
    """users-api with no users yet."""
    running_api.forget_everything()
    return running_api


@pytest.fixture
def crowd(api: LiveApi, monkeypatch: pytest.MonkeyPatch) -> Iterator[Crowd]:
    """People who register at the same moment."""
    with gathered(api, monkeypatch) as crowd:
        yield crowd


@pytest.fixture
def quick_shutdown(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let nothing that stops wait for as long as in production."""
    monkeypatch.setattr("dramatiq.worker.POST_PROCESS_MESSAGE_RETRY_DELAY_SECS", 0.2)
    monkeypatch.setattr("dramatiq.worker.CONSUMER_RESTART_DELAY_SECS", 0.2)
    monkeypatch.setattr("messaging.consuming.inbox.WAIT_SECONDS", 0.2)
    monkeypatch.setattr("messaging.relay.relay.IDLE_SECONDS", 0.2)
    monkeypatch.setattr("messaging.relay.relay.RECONCILE_SECONDS", 0.2)


@pytest.fixture
def reported_anew() -> Iterator[None]:
    """Let a fault of the database that another test has met be reported again."""
    session._log_once.cache_clear()
    yield
    session._log_once.cache_clear()


@pytest.fixture
def running_relay(
    users_database: str,
    redis_server: RedisServer,
    relay: RelayParts,
    subscriptions: Subscriptions,
) -> Iterator[None]:
    """A whole relay, in a thread."""
    stop = threading.Event()
    thread = threading.Thread(target=run_relay, args=(users_database, redis_server.url, subscriptions, stop))
    thread.start()
    yield
    stop.set()
    thread.join()


@pytest.fixture
def effects_database(new_database: Callable[[str], str]) -> str:
    """A database with an effect ledger."""
    return new_database("notifier")


@pytest.fixture
def audit(new_database: Callable[[str], str]) -> Audit:
    """An auditor's database."""
    return Audit(new_database("auditor"))


@pytest.fixture
def consume(redis_server: RedisServer, running_relay: None) -> Iterator[Consume]:
    """Start a worker for one subscription: `consume(AUDIT_LOG, handler)`."""
    brokers = []

    def start(subscription: Subscription[UserRegistered], handler: Callable[[Event[UserRegistered]], None]) -> None:
        broker = HeraldBroker(redis_server.url)
        subscribe(broker, subscription, handler)
        context = working(broker)
        context.__enter__()
        brokers.append(context)

    yield start
    for context in brokers:
        context.__exit__(None, None, None)


@pytest.fixture(params=["one by one", "pipelined"])
def pipelining_or_not(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whether the mail server takes the envelope at once: the outcome must always be the same."""
    monkeypatch.setattr(ScriptedSmtpServer, "pipelining", request.param == "pipelined")


@pytest.fixture
def connect() -> Iterator[Connect]:
    """Make SMTP senders that are closed after the test."""
    with ExitStack() as stack:

        def make(port: int, *, login: str = "", options: str = "", timeout: float = 5.0, idle: float = 30.0) -> Sender:
            url = f"smtp://{login}127.0.0.1:{port}{options}"
            return stack.enter_context(closing(Sender(url, timeout=timeout, idle=idle)))

        yield make
