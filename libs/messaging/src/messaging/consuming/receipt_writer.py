"""Receipts: what consumers report back, and how they send it.

Each publisher has a stream in Redis. Receipts may be lost, doubled or late. Nothing depends on one arriving: the lease
of the delivery runs out, it is enqueued again, and the consumer's own idempotency answers.

A stream holds what no relay has applied yet (`messaging.relay.receipt_reader`), and whatever happens no more than
about a million entries.
"""

from collections.abc import Sequence
from contextlib import closing

import redis
from redis.connection import Connection

from messaging.wire import layout
from messaging.wire.receipt import OUTCOMES, Outcome, Receipt, clean, describe, encode

__all__ = ["OUTCOMES", "Outcome", "Receipt", "ReceiptWriter", "clean", "describe", "report"]

MAX_UNREAD = 1_000_000


def report(client: redis.Redis, publisher: str, receipts: Sequence[Receipt]) -> None:
    """Send receipts to the relays of a publisher, as one entry of its stream.

    Raises:
        redis.RedisError: Redis is unreachable. The caller may go on: receipts can be lost.
    """
    with closing(ReceiptWriter(client, publisher)) as writer:
        writer.write(receipts)
        writer.confirm()


class ReceiptWriter:
    """Sends an entry to a publisher's relays. Redis' reply is read by `confirm`, before the next entry is sent.

    So a handler can begin as soon as `started` is written: the receipt arrives even if the worker dies the next moment.
    `close` it.
    """

    def __init__(self, client: redis.Redis, publisher: str) -> None:
        self._stream = layout.receipts_key(publisher)
        self._pool = client.connection_pool
        self._connection: Connection | None = None

    def write(self, receipts: Sequence[Receipt]) -> None:
        """Send receipts as one entry.

        Raises:
            redis.RedisError: Redis is unreachable. The caller may go on: receipts can be lost.
        """
        self._connection = self._pool.get_connection()
        entry = ("XADD", self._stream, "MAXLEN", "~", MAX_UNREAD, "*", "receipts", encode(receipts))
        try:
            self._connection.send_command(*entry)  # type: ignore[no-untyped-call]  # redis-py has no type for it
        except BaseException:
            self.close()
            raise

    def confirm(self) -> None:
        """Wait until what was written is there.

        Raises:
            redis.RedisError: it isn't.
        """
        if self._connection:
            try:
                self._connection.read_response()
            except redis.ResponseError:
                self._give_back()
                raise
            except BaseException:
                self.close()
                raise
            self._give_back()

    def close(self) -> None:
        """Drop a connection on which an answer may still come: nobody would expect it there."""
        if self._connection:
            self._connection.disconnect()  # type: ignore[no-untyped-call]  # as above
            self._give_back()

    def _give_back(self) -> None:
        connection, self._connection = self._connection, None
        if connection:
            self._pool.release(connection)
