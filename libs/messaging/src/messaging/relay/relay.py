"""The relay's process: loops that start together, survive their errors and stop together."""

import os
import socket
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import LiteralString

import psycopg
import redis
import structlog

from contracts import EventData, Subscription
from messaging.process.database import Pool, open_pool
from messaging.relay import deliveries
from messaging.relay.apply import Applier
from messaging.relay.dispatch import LIMIT, Dispatcher
from messaging.relay.housekeep import Housekeeper, Retention
from messaging.relay.listener import Listener
from messaging.relay.receipt_reader import ReceiptReader
from messaging.relay.receive import Receiver
from messaging.relay.reconcile import Reconciler
from messaging.relay.sweep import SWEEP_SECONDS, Sweeper
from messaging.relay.unknown import UnknownSubscriptions
from messaging.wire.client import connect
from messaging.wire.waits import Waits

IDLE_SECONDS = 5.0
"""How long a loop waits for a wake-up before it looks by itself."""

FULL_SECONDS = 0.5
"""How long it waits for a queue that has no room: nothing says when it has."""

BUSY_SECONDS = 0.05
"""How long it waits when something is due that it couldn't have: another relay has it, or a suspect goes first."""

LOADED = 16
GATHER_SECONDS = 0.03
"""Under load, when a round has enqueued so many, the next one begins so much later: fewer messages with more in each,
which costs everything behind less. Who comes alone waits for nobody."""

RECONCILE_SECONDS = 2.0
HOUSEKEEP_SECONDS = 60.0
TAKE_OVER_SECONDS = 8.0
"""After so long what another relay has read and not finished with is taken over: before leases run out."""

MAX_BACKOFF = 2.0
STOP_SECONDS = 10.0
"""A loop that hangs for longer than this when the relay is told to stop is left behind: leases cover it."""

KEEP = Retention()

SETTINGS: tuple[LiteralString, ...] = ("synchronous_commit = off", "enable_seqscan = off", "enable_bitmapscan = off")
"""Of the relay's connections. What a crash of PostgreSQL makes it forget of routing and receipts the leases find again.
All that a relay asks for is found by an index. Else a plan made while the tables were small reads all of them, what
is finished included, until they are analysed."""

log: structlog.stdlib.BoundLogger = structlog.get_logger("relay")


def run(  # noqa: PLR0913  # what a process is made of
    database_url: str,
    redis_url: str,
    subscriptions: Sequence[Subscription[EventData]],
    stop: threading.Event,
    retention: Retention = KEEP,
    *,
    publisher: str,
) -> None:
    """Run a relay until `stop` is set, then finish the round in hand.

    Args:
        database_url: the database of the service that publishes.
        redis_url: Redis, which other publishers may share.
        subscriptions: the effects whose deliveries it moves.
        stop: ends it.
        retention: how long the history is kept.
        publisher: the name of the service that publishes: a-z, 0-9 and -. Two services must not have the same.

    Raises:
        ConfigurationError: the publisher's name has other characters.
    """
    pool = open_pool(database_url, size=5, name="relay", settings=SETTINGS)
    client = connect(redis_url)
    name = f"{socket.gethostname()}.{os.getpid()}"
    waits = Waits(redis_url, timeout=IDLE_SECONDS + 3)
    listener = Listener(database_url, SETTINGS)
    dispatcher = Dispatcher(listener, client, subscriptions, publisher)
    reader, heir = (ReceiptReader(each, name, publisher) for each in (waits.client, client))
    receiver = Receiver(waits, reader, heir, Applier(pool, subscriptions), stop)
    reconciler = Reconciler(pool, client, subscriptions, publisher)
    sweeper = Sweeper(pool, client, subscriptions, publisher)
    unknown = UnknownSubscriptions(pool, subscriptions)
    housekeeper = Housekeeper(pool, client, retention, stop, publisher)

    def receive() -> None:
        receiver.receive(wait=IDLE_SECONDS)

    def take_over() -> None:
        receiver.take_over(idle=TAKE_OVER_SECONDS)
        stop.wait(TAKE_OVER_SECONDS / 2)

    def reconcile() -> None:
        reconciler.reconcile()
        stop.wait(RECONCILE_SECONDS)

    def sweep() -> None:
        sweeper.sweep()
        stop.wait(SWEEP_SECONDS)

    def housekeep() -> None:
        unknown.report()
        housekeeper.tidy()
        stop.wait(HOUSEKEEP_SECONDS)

    steps = {"receipts": receive, "take over": take_over, "reconcile": reconcile}
    steps |= {"sweep": sweep, "housekeep": housekeep}
    loops = [
        threading.Thread(target=_dispatch_forever, args=(listener, dispatcher, stop), name="dispatch", daemon=True),
        *(threading.Thread(target=_forever, args=(step, stop), name=name, daemon=True) for name, step in steps.items()),
    ]
    log.info("relay.started", publisher=publisher, subscriptions=[each.name for each in subscriptions])
    for loop in loops:
        loop.start()
    stop.wait()
    threading.Thread(target=_wake, args=(pool,), name="wake", daemon=True).start()
    waits.end(client)
    deadline = time.monotonic() + STOP_SECONDS
    for loop in loops:
        loop.join(max(0.0, deadline - time.monotonic()))
    pool.close(timeout=1)
    client.close()
    waits.close()
    log.info("relay.stopped")


def _wake(pool: Pool) -> None:
    """End the wait for a notification, if PostgreSQL is there and answers. Other relays look once more."""
    with suppress(psycopg.Error), pool.connection(timeout=1) as connection:
        connection.execute(deliveries.WAKE)


def _forever(step: Callable[[], None], stop: threading.Event) -> None:
    """Repeat a step; what fails is said once, tried again with backoff, and said when it is well again."""
    backoff = 0.0
    while not stop.is_set():
        try:
            step()
        except (redis.RedisError, psycopg.Error) as error:
            if not backoff:
                log.warning("relay.step_failed", step=threading.current_thread().name, error=str(error).strip())
            backoff = min(MAX_BACKOFF, backoff * 2 or 0.1)
            stop.wait(backoff)
        except Exception:
            log.exception("relay.step_crashed", step=threading.current_thread().name)
            stop.wait(MAX_BACKOFF)
        else:
            if backoff:
                log.info("relay.step_recovered", step=threading.current_thread().name)
            backoff = 0.0


def _dispatch_forever(listener: Listener, dispatcher: Dispatcher, stop: threading.Event) -> None:
    """Dispatch whenever PostgreSQL says that something is due, a retry's time has come, or some seconds have passed.

    What is notified while dispatching is heard by the next wait.
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

    _forever(step, stop)
    listener.close()
