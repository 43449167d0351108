"""How consumers send receipts to the relays of a publisher.

Each publisher has a stream in Redis. Receipts may be lost, doubled or late, and nothing depends on one arriving: if one
is lost, the delivery's lease runs out, the delivery is enqueued again, and the consumer is idempotent.

A stream holds the entries that no relay has applied yet (`messaging.relay.receipt_reader`), at most about MAX_UNREAD.
"""

from collections.abc import Sequence
from contextlib import closing

import redis
from redis.connection import Connection

from messaging.wire import layout
from messaging.wire.receipt import Receipt, encode

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
    """Sends entries to a publisher's relays. Call `confirm` before the next `write`, and `close` in the end.

    `write` doesn't wait for Redis' reply, and `confirm` reads it. So a handler can begin as soon as `started` is
    written: the receipt arrives even if the worker dies the next moment.
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
        """Wait for Redis' reply to what was written, if anything was.

        Raises:
            redis.RedisError: the receipts may be lost.
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
        """Close a connection on which a reply is still due: its next user would take the reply for its own."""
        if self._connection:
            self._connection.disconnect()  # type: ignore[no-untyped-call]  # as above
            self._give_back()

    def _give_back(self) -> None:
        connection, self._connection = self._connection, None
        if connection:
            self._pool.release(connection)
