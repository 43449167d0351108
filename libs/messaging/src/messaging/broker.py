"""Dramatiq's Redis broker, made to wake instead of poll and to lose nothing between Redis and a thread.

What differs from Dramatiq's own:
- An idle consumer blocks in Redis (`BLMOVE queue queue LEFT LEFT`: a no-op that waits for the list to have
  an element) and fetches in the same round trip, so a message starts within a millisecond.
- It beats its heart in Redis; the relay takes back what a silent worker held (`messaging.relay.reconcile`).
  Dramatiq's own maintenance, random and on the workers' clocks, is off.
- Messages fetched in a reply that never arrived are found and put back (`_hand_back_lost_fetch`).
- There are no delay queues: delays live in PostgreSQL.
"""

import os
import socket
import threading
from dataclasses import asdict
from typing import Any
from uuid import uuid4

import redis
from dramatiq import Broker, ConnectionClosed, DecodeError, Message, MessageProxy, Middleware, Worker
from dramatiq.brokers.redis import RedisBroker, _RedisConsumer
from dramatiq.common import current_millis
from dramatiq.middleware import TimeLimit

from messaging import transport
from messaging.message import contents
from messaging.receipts import Receipt, report

WAIT_SECONDS = 2
"""An idle consumer blocks for so long before it beats again; shutting down takes no longer than this."""


class HeraldBroker(RedisBroker):
    """The broker of one worker process. Make it before the actors are declared."""

    def __init__(self, redis_url: str) -> None:
        super().__init__(
            client=transport.connect(redis_url, timeout=None),
            middleware=[TimeLimit(), _Leave()],
            namespace=transport.NAMESPACE,
            maintenance_chance=0,
        )
        self.broker_id = f"{socket.gethostname()}.{os.getpid()}.{uuid4().hex[:12]}"
        self.stopping = threading.Event()
        self.held: set[str] = set()

    @property
    def consumer_class(self) -> type["_Consumer"]:
        """Consume by waiting, not by polling."""
        return _Consumer

    def declare_queue(self, queue_name: str) -> None:
        """Declare a queue, without the delay queue that Dramatiq gives each."""
        if queue_name not in self.queues:
            self.emit_before("declare_queue", queue_name)
            self.queues.add(queue_name)
            self.emit_after("declare_queue", queue_name)

    def leave(self) -> None:
        """Stop being looked after by the relay, unless it has something to take back."""
        unacked = [transport.unacked_key(self.broker_id, queue) for queue in self.queues]
        if not self.client.exists(*unacked):
            self.client.srem(transport.WORKERS, self.broker_id)
            self.client.delete(transport.heartbeat_key(self.broker_id))
            self.client.zrem(transport.DRAMATIQ_HEARTBEATS, self.broker_id)


class _Leave(Middleware):
    """A worker that shuts down takes no more messages, and when it has none left nobody need look for it."""

    def before_worker_shutdown(self, broker: Broker, worker: Worker) -> None:
        _ours(broker).stopping.set()

    def after_worker_shutdown(self, broker: Broker, worker: Worker) -> None:
        _ours(broker).leave()


def _ours(broker: Broker) -> "HeraldBroker":
    assert isinstance(broker, HeraldBroker)  # noqa: S101  # the middleware is HeraldBroker's own
    return broker


class _Consumer(_RedisConsumer):
    """Fetches for all threads of a process. `broker.held` names the messages that this process has in hand."""

    broker: HeraldBroker

    def __init__(self, broker: HeraldBroker, queue_name: str, prefetch: int, timeout: int) -> None:
        super().__init__(broker, queue_name, prefetch, timeout)
        self._acked = threading.Event()
        self._handed_back = False

    def __next__(self) -> MessageProxy | None:
        try:
            if not self.message_cache:
                self._wait_and_fetch()
        except redis.ConnectionError as error:
            raise ConnectionClosed(error) from None
        if not self.message_cache:
            return None
        try:
            message = Message.decode(self.message_cache.pop(0))
        except DecodeError:
            self.logger.error("Leaving out a message that can't be read: it is none of ours.")  # noqa: TRY400  # says all
            return None
        self.queued_message_ids.add(message.message_id)
        self.broker.held.add(message.options["redis_message_id"])
        return MessageProxy(message)

    def ack(self, message: MessageProxy) -> None:
        super().ack(message)
        self._let_go(message)

    def nack(self, message: MessageProxy) -> None:
        """Tell the relay of a message that no actor here is for. Redis keeps no dead letters: PostgreSQL does."""
        error = f"no actor {message.actor_name} in this worker: deploy one that has it"
        carried = contents(message._message)
        report(self.broker.client, [Receipt(**asdict(each), outcome="retry", error=error) for each in carried])
        self.ack(message)

    def close(self) -> None:
        """Hand back what was fetched and never given to a thread."""
        cached, self.message_cache = self.message_cache, []
        self.requeue(MessageProxy(Message.decode(data)) for data in cached if data)

    def requeue(self, messages: Any) -> None:
        messages = list(messages)
        try:
            super().requeue(messages)
        except redis.ConnectionError as error:
            raise ConnectionClosed(error) from None
        for message in messages:
            self._let_go(message)

    def _let_go(self, message: MessageProxy) -> None:
        self.broker.held.discard(message.options["redis_message_id"])
        self._acked.set()

    def _wait_and_fetch(self) -> None:
        self._acked.clear()
        room = self.prefetch - self.outstanding_message_count
        if room <= 0 or self.broker.stopping.is_set():
            self._beat(self.broker.client)
            self._acked.wait(WAIT_SECONDS if room <= 0 else 0.1)
            return
        if not self._handed_back:
            self._hand_back_lost_fetch()
        self.message_cache = [data for data in self._fetch(room) if data is not None]

    def _fetch(self, room: int) -> list[bytes | None]:
        """Beat, wait for a message and fetch up to `room`, in one round trip."""
        dispatch = self.broker.scripts["dispatch"]
        queue = transport.queue_key(self.queue_name)
        pipeline = self.broker.client.pipeline(transaction=False)
        self._beat(pipeline)
        pipeline.blmove(queue, queue, WAIT_SECONDS, "LEFT", "LEFT")
        pipeline.evalsha(dispatch.sha, 1, self.broker.namespace, *self._fetch_arguments(room))
        try:
            fetched: list[bytes | None] = pipeline.execute()[-1]
        except redis.exceptions.NoScriptError:
            self.broker.client.script_load(dispatch.script)
            return []
        return fetched

    def _fetch_arguments(self, room: int) -> tuple[str | int, ...]:
        broker = self.broker
        return (
            "fetch",
            current_millis(),
            self.queue_name,
            broker.broker_id,
            broker.heartbeat_timeout,
            broker.dead_message_ttl,
            0,
            broker._max_unpack_size(),
            room,
        )

    def _beat(self, client: redis.Redis) -> None:
        client.set(transport.heartbeat_key(self.broker.broker_id), self.queue_name, ex=transport.HEARTBEAT_SECONDS)
        client.sadd(transport.WORKERS, self.broker.broker_id)

    def _hand_back_lost_fetch(self) -> None:
        """Put back messages that Redis counts as ours but no thread of ours has: their fetch was cut off."""
        unacked = transport.members(self.broker.client, transport.unacked_key(self.broker.broker_id, self.queue_name))
        lost = unacked - self.broker.held
        if lost:
            self.logger.warning("Handing back %d messages whose fetch was cut off.", len(lost))
            self.broker.do_requeue(self.queue_name, *lost)
        self._handed_back = True
