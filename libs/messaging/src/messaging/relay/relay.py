"""The relay's process: four loops that start together, survive their errors and stop together."""

import os
import socket
import threading
import time
from collections.abc import Callable, Sequence

import psycopg
import redis
import structlog

from contracts import Subscription
from messaging import transport
from messaging.database import NEVER_SILENT, open_pool
from messaging.outbox import CHANNEL
from messaging.receipts import ReceiptReader
from messaging.relay.apply import Applier
from messaging.relay.dispatch import LIMIT, Dispatcher
from messaging.relay.housekeep import Housekeeper, Retention
from messaging.relay.reconcile import Reconciler

IDLE_SECONDS = 1.0
"""How long a loop waits for a wake-up before it looks by itself."""

BUSY_SECONDS = 0.05
"""How long it waits when something is due that it couldn't have: another relay has it, or a suspect goes first."""

RECONCILE_SECONDS = 1.0
HOUSEKEEP_SECONDS = 60.0
TAKE_OVER_SECONDS = 10.0
MAX_BACKOFF = 2.0
STOP_SECONDS = 10.0
"""A loop that hangs for longer than this when the relay is told to stop is left behind: leases cover it."""

KEEP = Retention()

log: structlog.stdlib.BoundLogger = structlog.get_logger("relay")


def run(
    database_url: str,
    redis_url: str,
    subscriptions: Sequence[Subscription],
    stop: threading.Event,
    retention: Retention = KEEP,
) -> None:
    """Run a relay until `stop` is set, then finish the round in hand."""
    # Whatever a crash of PostgreSQL makes it forget of routing and receipts is found by the leases.
    pool = open_pool(database_url, size=4, name="relay", synchronous_commit=False)
    client = transport.connect(redis_url)
    dispatcher = Dispatcher(pool, client, subscriptions)
    reader = ReceiptReader(client, f"{socket.gethostname()}.{os.getpid()}")
    applier = Applier(pool, subscriptions)
    reconciler = Reconciler(pool, client, subscriptions)
    housekeeper = Housekeeper(pool, client, retention, stop)

    def receive() -> None:
        entry_ids, receipts = reader.read(wait=IDLE_SECONDS)
        applier.apply(receipts)
        reader.done(entry_ids)

    def reconcile() -> None:
        reconciler.reconcile()
        entry_ids, receipts = reader.take_over(idle=TAKE_OVER_SECONDS)
        applier.apply(receipts)
        reader.done(entry_ids)
        stop.wait(RECONCILE_SECONDS)

    def housekeep() -> None:
        housekeeper.tidy()
        stop.wait(HOUSEKEEP_SECONDS)

    loops = [
        threading.Thread(target=_dispatch_forever, args=(database_url, dispatcher, stop), name="dispatch", daemon=True),
        threading.Thread(target=_forever, args=(receive, stop), name="receipts", daemon=True),
        threading.Thread(target=_forever, args=(reconcile, stop), name="reconcile", daemon=True),
        threading.Thread(target=_forever, args=(housekeep, stop), name="housekeep", daemon=True),
    ]
    log.info("relay.started", subscriptions=[each.name for each in subscriptions])
    for loop in loops:
        loop.start()
    stop.wait()
    deadline = time.monotonic() + STOP_SECONDS
    for loop in loops:
        loop.join(max(0.0, deadline - time.monotonic()))
    pool.close(timeout=1)
    client.close()
    log.info("relay.stopped")


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


def _dispatch_forever(database_url: str, dispatcher: Dispatcher, stop: threading.Event) -> None:
    """Dispatch whenever PostgreSQL says that something is due, a retry's time has come, or a second has passed.

    Listening has a connection of its own, so a notification that comes while dispatching is not missed.
    """
    listener: psycopg.Connection[tuple[object, ...]] | None = None

    def step() -> None:
        nonlocal listener
        if listener is None or listener.closed:
            listener = psycopg.connect(database_url, autocommit=True, application_name="herald-listen", **NEVER_SILENT)
            listener.execute(f"LISTEN {CHANNEL}")
        if dispatcher.dispatch() == LIMIT:
            return
        due = dispatcher.next_due()
        timeout = IDLE_SECONDS if due is None else min(IDLE_SECONDS, max(BUSY_SECONDS, due))
        for _ in listener.notifies(timeout=timeout, stop_after=1):
            pass

    _forever(step, stop)
    if listener is not None:
        listener.close()
