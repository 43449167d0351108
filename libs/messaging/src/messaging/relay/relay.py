"""The relay's process: loops that start together, survive their errors and stop together."""

import os
import socket
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from typing import LiteralString

import psycopg
import redis
import structlog

from contracts import EventData, Schedule, Subscription
from messaging.process.database import Pool, open_pool
from messaging.publishing import bulk
from messaging.relay import deliveries
from messaging.relay.apply import Applier
from messaging.relay.backlog import BacklogCounter
from messaging.relay.dispatch import LIMIT, Dispatcher
from messaging.relay.housekeep import Housekeeper, Retention
from messaging.relay.listener import Listener
from messaging.relay.operate import Operator
from messaging.relay.presence import Presence
from messaging.relay.receipt_reader import ReceiptReader
from messaging.relay.receive import Receiver
from messaging.relay.reconcile import Reconciler
from messaging.relay.scheduler import Scheduler
from messaging.relay.sweep import SWEEP_SECONDS, Sweeper
from messaging.wire.client import connect
from messaging.wire.receipt import describe
from messaging.wire.waits import Waits

IDLE_SECONDS = 5.0
"""A loop waits this long for a notification or a receipt before it looks without one."""

FULL_SECONDS = 0.5
"""`dispatch` waits this long while a queue has no room: no notification says when it has."""

BUSY_SECONDS = 0.05
"""`dispatch` waits this long if a delivery is due that it couldn't claim: another relay has locked it, or it has
crashed twice and another such delivery goes first. It waits as long for more deliveries before it reads when the next
one is due."""

LOADED = 16
GATHER_SECONDS = 0.03
"""After a round that enqueued at least LOADED deliveries, wait GATHER_SECONDS before the next one: messages then carry
more events each, which is cheaper downstream. A lone delivery is never delayed."""

RECONCILE_SECONDS = 2.0
HOUSEKEEP_SECONDS = 60.0
TAKE_OVER_SECONDS = 8.0
"""Receipts that another relay read this long ago and hasn't finished are taken over: before leases run out."""

MAX_BACKOFF = 2.0
STOP_SECONDS = 10.0
"""A relay that stops waits this long for its loops. It abandons a loop that hangs longer: leases cover its work."""

KEEP = Retention()

SETTINGS: tuple[LiteralString, ...] = ("synchronous_commit = off", "enable_seqscan = off", "enable_bitmapscan = off")
"""Settings of the relay's connections. If PostgreSQL crashes and loses commits of the relay, leases make up for it.
Every statement of the relay can use an index, and must: a plan made while the tables were small would read them whole,
finished deliveries included, until the next ANALYZE."""

log: structlog.stdlib.BoundLogger = structlog.get_logger("relay")


def run(  # noqa: PLR0913  # what a process is made of
    database_url: str,
    redis_url: str,
    subscriptions: Sequence[Subscription[EventData]],
    stop: threading.Event,
    retention: Retention = KEEP,
    *,
    publisher: str,
    schedules: Sequence[Schedule] = (),
) -> None:
    """Run a relay until `stop` is set, then finish the current round of each loop.

    Args:
        database_url: the database of the publishing service.
        redis_url: Redis, which other publishers may share.
        subscriptions: the effects whose deliveries the relay moves.
        stop: ends the relay when set.
        retention: how long events that are over are kept.
        publisher: the name of the publishing service, of a-z, 0-9 and -. Each service needs a name of its own.
        schedules: make events of this publisher. One schedule belongs to one publisher.

    Raises:
        ConfigurationError: the publisher's name has other characters, or a schedule can't be read.
    """
    pool = open_pool(database_url, size=5, name="relay", settings=SETTINGS)
    client = connect(redis_url)
    name = f"{socket.gethostname()}.{os.getpid()}"
    waits = Waits(redis_url, timeout=IDLE_SECONDS + 3)
    listener = Listener(database_url, SETTINGS)
    dispatcher = Dispatcher(listener, client, subscriptions, publisher)
    reader, heir = (ReceiptReader(reading, name, publisher) for reading in (waits.client, client))
    receiver = Receiver(waits, reader, heir, Applier(pool, subscriptions), stop)
    reconciler = Reconciler(pool, client, subscriptions, publisher)
    sweeper = Sweeper(pool, client, subscriptions, publisher)
    backlog = BacklogCounter(pool, subscriptions)
    housekeeper = Housekeeper(pool, client, retention, stop, publisher)
    scheduler = Scheduler(pool, schedules, publisher)
    operator = Operator(Listener(database_url, SETTINGS, channel=bulk.CHANNEL, name="operate"), publisher)
    presence = Presence(client, publisher, name)

    def receive() -> None:
        receiver.receive(wait=IDLE_SECONDS)

    def take_over() -> None:
        receiver.take_over(idle=TAKE_OVER_SECONDS)
        stop.wait(TAKE_OVER_SECONDS / 2)

    def reconcile() -> None:
        presence.beat()
        reconciler.reconcile()
        stop.wait(RECONCILE_SECONDS)

    def sweep() -> None:
        sweeper.sweep()
        stop.wait(SWEEP_SECONDS)

    def housekeep() -> None:
        backlog.count()
        housekeeper.tidy()
        presence.forget_silent()
        stop.wait(HOUSEKEEP_SECONDS)

    steps: dict[str, Callable[[], None]] = {
        "receive": receive,
        "take over": take_over,
        "reconcile": reconcile,
        "sweep": sweep,
        "housekeep": housekeep,
        "operate": partial(operator.step, stop),
        **({"schedule": partial(scheduler.step, stop)} if schedules else {}),
    }
    loops = [
        threading.Thread(
            target=_dispatch_forever, args=(listener, dispatcher, stop, presence), name="dispatch", daemon=True
        ),
        *(
            threading.Thread(target=_forever, args=(step, stop, presence), name=name, daemon=True)
            for name, step in steps.items()
        ),
    ]
    log.info("relay.started", publisher=publisher, subscriptions=[subscription.name for subscription in subscriptions])
    for loop in loops:
        loop.start()
    stop.wait()
    threading.Thread(target=_wake, args=(pool,), name="wake", daemon=True).start()
    waits.end(client)
    deadline = time.monotonic() + STOP_SECONDS
    for loop in loops:
        loop.join(max(0.0, deadline - time.monotonic()))
    operator.close()
    pool.close(timeout=1)
    with suppress(redis.RedisError):
        presence.leave()
    client.close()
    waits.close()
    log.info("relay.stopped")


def _wake(pool: Pool) -> None:
    """End the wait for a notification, if PostgreSQL is reachable. Other relays wake up too, and look once more."""
    with suppress(psycopg.Error), pool.connection(timeout=1) as connection:
        connection.execute(deliveries.WAKE)
        connection.execute(bulk.WAKE)


def _forever(step: Callable[[], None], stop: threading.Event, presence: Presence) -> None:
    """Repeat a step until `stop` is set. A step that fails is repeated with backoff.

    The first failure of a series is logged, and then its end.
    """
    backoff = 0.0
    while not stop.is_set():
        try:
            step()
        except (redis.RedisError, psycopg.Error) as error:
            words = _said(error, presence.publisher)
            if not backoff:
                log.warning("relay.step_failed", step=threading.current_thread().name, error=words)
            presence.fails(words)
            backoff = min(MAX_BACKOFF, backoff * 2 or 0.1)
            stop.wait(backoff)
        except Exception as error:
            presence.fails(describe(error))
            log.exception("relay.step_crashed", step=threading.current_thread().name)
            stop.wait(MAX_BACKOFF)
        else:
            presence.recovers()
            if backoff:
                log.info("relay.step_recovered", step=threading.current_thread().name)
            backoff = 0.0


def _said(error: Exception, publisher: str) -> str:
    """Return an error's words, and what to do if a relay has been upgraded before its database."""
    words = str(error).strip()
    if isinstance(error, (psycopg.errors.UndefinedTable, psycopg.errors.UndefinedColumn)):
        return f"{words}. If the database is of an older version, run: {publisher} migrate"
    return words


def _dispatch_forever(listener: Listener, dispatcher: Dispatcher, stop: threading.Event, presence: Presence) -> None:
    """Dispatch when a notification comes, when the next delivery is due, and at the latest after IDLE_SECONDS.

    The next wait receives notifications that arrive while `dispatcher` works.
    """

    def step() -> None:
        enqueued = dispatcher.dispatch()
        if enqueued >= LOADED:
            stop.wait(GATHER_SECONDS if enqueued < LIMIT else 0)
            return
        if enqueued and listener.wait(BUSY_SECONDS, stop):
            return
        due = dispatcher.next_due()
        longest = FULL_SECONDS if dispatcher.held_up else IDLE_SECONDS
        if due is not None:
            longest = min(longest, due if due > 0 else BUSY_SECONDS)
        listener.wait(longest, stop)

    _forever(step, stop, presence)
    listener.close()
