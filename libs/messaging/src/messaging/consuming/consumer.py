"""How a worker process takes messages from Redis, and acknowledges them or hands them back.

- An idle consumer blocks until there is a message (`messaging.consuming.inbox`). One that has fetched as many as it may
  waits until a thread is done with a message.
- Every Redis error becomes Dramatiq's ConnectionClosed, after which Dramatiq tries again. After any other error
  Dramatiq would give up, and this worker would hold the message for ever.
- If Redis' reply to a fetch never arrived, its messages are found and put back.
"""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict
from threading import Event
from typing import TYPE_CHECKING

import redis
import structlog
from dramatiq import ConnectionClosed, MessageProxy
from dramatiq.brokers.redis import _RedisConsumer

from messaging.consuming import inbox
from messaging.consuming.inbox import Taken
from messaging.consuming.receipt_writer import report
from messaging.wire import layout
from messaging.wire.message import NotOursError, contents, publisher_of, read
from messaging.wire.receipt import Receipt, clean, describe
from messaging.wire.script import members

if TYPE_CHECKING:
    from messaging.consuming.broker import HeraldBroker

log: structlog.stdlib.BoundLogger = structlog.get_logger("consumer")

BREATH = 0.002
"""After a fetch the consumer sleeps for this many seconds, or until a thread is done: the threads that have just
received messages need the interpreter more."""


class Consumer(_RedisConsumer):
    """Fetches messages of one queue for all threads of a process."""

    broker: "HeraldBroker"

    def __init__(self, broker: "HeraldBroker", queue_name: str, prefetch: int, timeout: int) -> None:
        super().__init__(broker, queue_name, prefetch, timeout)
        self._inbox = broker.inbox(queue_name)
        self.message_cache: list[Taken] = []
        self._acked = Event()
        self._handed_back = False

    def __next__(self) -> MessageProxy | None:
        """Return a message, or None after a while without one."""
        if not self.message_cache:
            with _redis_errors_as_connection_closed():
                self._wait_and_fetch()
        if not self.message_cache:
            return None
        message_id, data = self.message_cache.pop(0)
        try:
            taken = read(self.queue_name, message_id, data)
        except NotOursError as error:
            self._drop(message_id, error)
            return None
        if self.broker.actors and taken.actor_name not in self.broker.actors:
            self.nack(MessageProxy(taken))  # as Dramatiq would, without its traceback
            return None
        self.queued_message_ids.add(taken.message_id)
        self.broker.held.add(taken.message_id)
        return MessageProxy(taken)

    def ack(self, message: MessageProxy) -> None:
        """Delete a message that is done.

        A worker that is stopping tries only once: the relay finds the message by its lease or the worker's heartbeat.
        """
        try:
            with _redis_errors_as_connection_closed():
                super().ack(message)
        except ConnectionClosed as error:
            if not self.broker.stopping.is_set():
                raise
            self.logger.warning("Could not acknowledge a message while stopping: %s", describe(error))
        self._let_go(message)

    def nack(self, message: MessageProxy) -> None:
        """Report to the relay that no actor here takes a message. Dead letters are kept in PostgreSQL, not in Redis."""
        log.error("actor.missing", actor=message.actor_name, queue=self.queue_name)
        error = clean(f"this worker has no actor `{message.actor_name}`; deploy a version that does")
        references = contents(message._message)
        with suppress(redis.RedisError):
            receipts = [Receipt(**asdict(reference), outcome="retry", error=error) for reference in references]
            report(self.broker.client, publisher_of(message._message), receipts)
        self.ack(message)

    def requeue(self, messages: Iterable[MessageProxy]) -> None:
        """Hand back messages that no thread began."""
        handed_back = list(messages)
        with _redis_errors_as_connection_closed():
            self.broker.hand_back(self.queue_name, [message.message_id for message in handed_back])
        for message in handed_back:
            self._let_go(message)

    def close(self) -> None:
        """Hand back messages that were fetched and never passed to a thread."""
        cached, self.message_cache = self.message_cache, []
        with _redis_errors_as_connection_closed():
            self.broker.hand_back(self.queue_name, [message_id for message_id, _ in cached])

    def _drop(self, message_id: bytes, error: NotOursError) -> None:
        """Remove a message that no relay of Herald made, so that no worker meets it again."""
        self.broker.dropped += 1
        log.error("message.dropped", queue=self.queue_name, reason=str(error), dropped_so_far=self.broker.dropped)
        with _redis_errors_as_connection_closed():
            self.broker.do_ack(self.queue_name, message_id)

    def _let_go(self, message: MessageProxy) -> None:
        self.broker.held.discard(message.message_id)
        self._acked.set()

    def _wait_and_fetch(self) -> None:
        self._acked.clear()
        room = self.prefetch - self.outstanding_message_count
        if room <= 0 or self.broker.stopping.is_set():
            self._inbox.beat()
            self._acked.wait(inbox.WAIT_SECONDS if room <= 0 else 0.1)
        elif not self._handed_back:
            self._hand_back_lost_fetch()
            self.message_cache = self._inbox.take(room)
        else:
            self._acked.wait(BREATH)
            self.message_cache = self._inbox.wait_and_take(room)

    def _hand_back_lost_fetch(self) -> None:
        """Put back messages that Redis counts as this worker's but no thread has: the reply to their fetch was lost."""
        unacked = members(self.broker.client, layout.unacked_key(self.broker.broker_id, self.queue_name))
        lost = unacked - self.broker.held
        if lost:
            self.logger.warning("Returning %d messages to the queue: their fetch was interrupted.", len(lost))
            self.broker.hand_back(self.queue_name, list(lost))
        self._handed_back = True


@contextmanager
def _redis_errors_as_connection_closed() -> Iterator[None]:
    try:
        yield
    except redis.RedisError as error:
        raise ConnectionClosed(error) from None
