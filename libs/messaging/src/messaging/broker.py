"""Dramatiq's Redis broker, made to lose nothing between Redis and a thread, and to end when it is told to.

What differs from Dramatiq's own:
- Consumers block in Redis instead of polling it (`messaging.consumer`).
- Worker processes beat their hearts in Redis; the relay takes back what a silent one held
  (`messaging.relay.reconcile`). Dramatiq's own maintenance, random and on the workers' clocks, is off.
- Threads without work sleep until there is some (`messaging.work_queue`), not for a second.
- There are no delay queues: delays live in PostgreSQL.
"""

import os
import socket
import threading
from uuid import uuid4

import redis
from dramatiq import Broker, Middleware, Worker
from dramatiq.brokers.redis import RedisBroker
from dramatiq.middleware import TimeLimit

from messaging import collector, inbox, transport
from messaging.consumer import Consumer
from messaging.inbox import Inbox
from messaging.waits import Waits
from messaging.work_queue import WorkQueue


class HeraldBroker(RedisBroker):
    """The broker of one worker process. Make it before the actors are declared.

    `held`: ids of the messages that this process has in hand. `stopping`: set when it shuts down.
    """

    def __init__(self, redis_url: str) -> None:
        super().__init__(
            client=transport.connect(redis_url),
            middleware=[TimeLimit(), _Life()],
            namespace=transport.NAMESPACE,
            maintenance_chance=0,
        )
        self.broker_id = f"{socket.gethostname()}.{os.getpid()}.{uuid4().hex[:12]}"
        # A connection that is silent for longer than a wait is no more.
        self.waits = Waits(redis_url, timeout=inbox.WAIT_SECONDS + 3)
        self.stopping = threading.Event()
        self.held: set[str] = set()

    @property
    def consumer_class(self) -> type[Consumer]:
        """Consume by waiting, not by polling."""
        return Consumer

    def declare_queue(self, queue_name: str) -> None:
        """Declare a queue, without the delay queue that Dramatiq gives each."""
        if queue_name not in self.queues:
            self.emit_before("declare_queue", queue_name)
            self.queues.add(queue_name)
            self.emit_after("declare_queue", queue_name)

    def do_ack(self, queue_name: str, message_id: str) -> None:
        """Forget a message that is done, by commands that a full Redis allows: it refuses Dramatiq's script, and MULTI.

        In this order: a message that is gone while its id is still ours is harmless, the reverse would look waiting.
        """
        pipeline = self.client.pipeline(transaction=False)
        pipeline.hdel(transport.messages_key(queue_name), message_id)
        pipeline.srem(transport.unacked_key(self.broker_id, queue_name), message_id)
        pipeline.execute()

    def inbox(self, queue: str) -> Inbox:
        """Return what waits for this process in a queue."""
        return Inbox(self.client, self.waits, self.broker_id, queue)

    def stop(self) -> None:
        """Take no more messages. Whoever waits for one stops waiting."""
        self.stopping.set()
        self.waits.end(self.client)

    def close(self) -> None:
        """Close all connections."""
        self.client.close()
        self.waits.close()

    def leave(self) -> None:
        """Stop being looked after by the relay, unless it has something to take back."""
        unacked = [transport.unacked_key(self.broker_id, queue) for queue in self.queues]
        try:
            if not self.client.exists(*unacked):
                self.client.srem(transport.WORKERS, *(transport.holder(self.broker_id, each) for each in self.queues))
                self.client.delete(transport.heartbeat_key(self.broker_id))
                self.client.zrem(transport.DRAMATIQ_HEARTBEATS, self.broker_id)
        except redis.RedisError:
            self.logger.warning("Redis is away: the relay will notice by itself that this worker left.")


class _Life(Middleware):
    """A worker that shuts down takes no more messages, and when it has none left nobody need look for it."""

    def __init__(self) -> None:
        self._work = WorkQueue()

    def before_worker_boot(self, broker: Broker, worker: Worker) -> None:
        worker.work_queue = self._work

    def after_process_boot(self, broker: Broker) -> None:
        collector.settle()

    def before_worker_shutdown(self, broker: Broker, worker: Worker) -> None:
        _ours(broker).stop()
        self._work.close()

    def after_worker_shutdown(self, broker: Broker, worker: Worker) -> None:
        _ours(broker).leave()


def _ours(broker: Broker) -> HeraldBroker:
    assert isinstance(broker, HeraldBroker)  # noqa: S101  # the middleware is HeraldBroker's own
    return broker
