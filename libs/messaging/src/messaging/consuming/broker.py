"""Dramatiq's Redis broker, changed so that it loses nothing between Redis and a thread, and stops promptly.

Differences from Dramatiq's own:
- Consumers block in Redis instead of polling it (`messaging.consuming.consumer`).
- Worker processes send heartbeats to Redis; the relay takes back the messages of a silent one
  (`messaging.relay.reconcile`). Dramatiq's own maintenance, which is random and uses the workers' clocks, is off.
- Threads without work sleep until there is some (`messaging.consuming.work_queue`), not for a second at a time.
- There are no delay queues: delays live in PostgreSQL.
"""

import os
import signal
import socket
import sys
import threading
from collections.abc import Callable, Sequence
from uuid import uuid4

import redis
import structlog
from dramatiq import Broker, Middleware, Worker
from dramatiq.brokers.redis import RedisBroker
from dramatiq.middleware import TimeLimit

from messaging.consuming import inbox
from messaging.consuming.consumer import Consumer
from messaging.consuming.inbox import Inbox
from messaging.consuming.work_queue import WorkQueue
from messaging.process import collector
from messaging.wire import layout
from messaging.wire.client import connect
from messaging.wire.script import mending
from messaging.wire.waits import Waits

log: structlog.stdlib.BoundLogger = structlog.get_logger("broker")


class HeraldBroker(RedisBroker):
    """The broker of one worker process. Create it before declaring the actors.

    `held`: ids of the messages that this process has fetched and not acknowledged. `stopping`: set when the process
    shuts down. `dropped`: how many messages the process has removed because no relay of Herald had made them.
    `broken`: whether one of its threads has died. `at_shutdown`: is called when no thread works any more.
    """

    def __init__(self, redis_url: str) -> None:
        super().__init__(
            client=connect(redis_url),
            middleware=[TimeLimit(), _Life()],
            namespace=layout.NAMESPACE,
            maintenance_chance=0,
        )
        self.broker_id = f"{socket.gethostname()}.{os.getpid()}.{uuid4().hex[:12]}"
        # A connection that is silent for longer than a wait has broken.
        self.waits = Waits(redis_url, timeout=inbox.WAIT_SECONDS + 3)
        self.stopping = threading.Event()
        self.held: set[str] = set()
        self.dropped = 0
        self.broken = False
        self.at_shutdown: list[Callable[[], None]] = []

    @property
    def consumer_class(self) -> type[Consumer]:
        """The consumer that blocks in Redis."""
        return Consumer

    def declare_queue(self, queue_name: str) -> None:
        """Declare a queue, without the delay queue that Dramatiq would add."""
        if queue_name not in self.queues:
            self.emit_before("declare_queue", queue_name)
            self.queues.add(queue_name)
            self.emit_after("declare_queue", queue_name)

    def do_ack(self, queue_name: str, message_id: str | bytes) -> None:
        """Delete a message that is done, by commands that a full Redis allows: it refuses Dramatiq's script, and MULTI.

        The data goes first: an id without data is harmless, but data without an id would look like a lost message.
        """
        messages, unacked = self._keys(queue_name)

        def forget() -> None:
            pipeline = self.client.pipeline(transaction=False)
            pipeline.hdel(messages, message_id)
            pipeline.srem(unacked, message_id)
            pipeline.execute()

        mending(self.client, [messages, unacked], forget)

    def hand_back(self, queue_name: str, message_ids: Sequence[str | bytes]) -> None:
        """Put messages that no thread began back into their queue."""
        if message_ids:
            keys = [*self._keys(queue_name), layout.queue_key(queue_name), layout.DRAMATIQ_HEARTBEATS]
            mending(self.client, keys, lambda: self.do_requeue(queue_name, *message_ids))

    def _keys(self, queue_name: str) -> tuple[str, str]:
        return layout.messages_key(queue_name), layout.unacked_key(self.broker_id, queue_name)

    def inbox(self, queue: str) -> Inbox:
        """Return this process's access to a queue."""
        return Inbox(self.client, self.waits, self.broker_id, queue)

    def stop(self) -> None:
        """Take no more messages, and end the waits for them."""
        self.stopping.set()
        self.waits.end(self.client)

    def end_for(self, ended: threading.ExceptHookArgs) -> None:
        """End this process by SIGTERM because one of its threads has died. The relay takes back that thread's messages.

        The other threads finish what they have begun. If the process went on, its heartbeat would keep the dead
        thread's messages from ever being taken back.
        """
        name = ended.thread.name if ended.thread else "?"
        log.critical("worker.thread_died", thread=name, error=ended.exc_type.__name__, exc_info=ended.exc_value)
        if not self.broken and not self.stopping.is_set():
            self.broken = True
            os.kill(os.getpid(), signal.SIGTERM)

    def close(self) -> None:
        """Close all connections."""
        self.client.close()
        self.waits.close()

    def leave(self) -> None:
        """Unregister this worker, unless it still holds messages for the relay to take back."""
        try:
            mending(self.client, [layout.WORKERS, layout.DRAMATIQ_HEARTBEATS], self._leave)
        except redis.RedisError:
            self.logger.warning("Redis is unreachable; the relay will notice that this worker has left.")

    def _leave(self) -> None:
        unacked = [layout.unacked_key(self.broker_id, queue) for queue in self.queues]
        if not self.client.exists(*unacked):
            self.client.srem(layout.WORKERS, *(layout.holder(self.broker_id, queue) for queue in self.queues))
            self.client.zrem(layout.DRAMATIQ_HEARTBEATS, self.broker_id)
            self.client.delete(layout.heartbeat_key(self.broker_id))


class _Life(Middleware):
    """What happens when a worker starts and stops: the work queue, the garbage collector, registration, exit status."""

    def __init__(self) -> None:
        self._work = WorkQueue()

    def before_worker_boot(self, broker: Broker, worker: Worker) -> None:
        worker.work_queue = self._work

    def after_process_boot(self, broker: Broker) -> None:
        collector.freeze()
        threading.excepthook = _ours(broker).end_for

    def before_worker_shutdown(self, broker: Broker, worker: Worker) -> None:
        _ours(broker).stop()
        self._work.close()

    def after_worker_shutdown(self, broker: Broker, worker: Worker) -> None:
        for close in _ours(broker).at_shutdown:
            close()
        _ours(broker).leave()
        if _ours(broker).broken:
            sys.exit(1)


def _ours(broker: Broker) -> HeraldBroker:
    assert isinstance(broker, HeraldBroker)  # noqa: S101  # the middleware is HeraldBroker's own
    return broker
