"""Dramatiq's Redis broker, made to lose nothing between Redis and a thread, and to end when it is told to.

What differs from Dramatiq's own:
- Consumers block in Redis instead of polling it (`messaging.consumer`).
- Worker processes beat their hearts in Redis; the relay takes back what a silent one held
  (`messaging.relay.reconcile`). Dramatiq's own maintenance, random and on the workers' clocks, is off.
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

from messaging import transport
from messaging.consumer import WAIT_SECONDS, Consumer


class HeraldBroker(RedisBroker):
    """The broker of one worker process. Make it before the actors are declared.

    `held`: ids of the messages that this process has in hand. `stopping`: set when it shuts down.
    """

    def __init__(self, redis_url: str) -> None:
        super().__init__(
            client=transport.connect(redis_url, timeout=WAIT_SECONDS + 3),  # a silent connection isn't waited for
            middleware=[TimeLimit(), _Leave()],
            namespace=transport.NAMESPACE,
            maintenance_chance=0,
        )
        self.broker_id = f"{socket.gethostname()}.{os.getpid()}.{uuid4().hex[:12]}"
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

    def beat(self, client: redis.Redis, queue: str) -> None:
        """Show that this process lives, and may hold messages of a queue; `client` may be a pipeline."""
        client.set(transport.heartbeat_key(self.broker_id), "1", ex=transport.HEARTBEAT_SECONDS)
        client.sadd(transport.WORKERS, transport.holder(self.broker_id, queue))

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


class _Leave(Middleware):
    """A worker that shuts down takes no more messages, and when it has none left nobody need look for it."""

    def before_worker_shutdown(self, broker: Broker, worker: Worker) -> None:
        _ours(broker).stopping.set()

    def after_worker_shutdown(self, broker: Broker, worker: Worker) -> None:
        _ours(broker).leave()


def _ours(broker: Broker) -> HeraldBroker:
    assert isinstance(broker, HeraldBroker)  # noqa: S101  # the middleware is HeraldBroker's own
    return broker
