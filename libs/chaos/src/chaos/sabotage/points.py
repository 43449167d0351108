"""Points between two lines at which a process can be told to die."""

import functools
import os
import signal
import threading
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from inspect import iscoroutinefunction
from typing import Any, NoReturn

from chaos.sabotage.errors import OrderUnknown


class Bomb:
    """Kills the process, with its whole group, when it has been passed so many times."""

    def __init__(self, passings: int) -> None:
        self._left = passings
        self._lock = threading.Lock()

    def passed(self) -> bool:
        """Count a passing, and tell whether it was the one."""
        with self._lock:
            self._left -= 1
            return self._left == 0

    def __call__(self) -> None:
        """Count a passing, and die if it was the one."""
        if self.passed():
            die()


def die() -> NoReturn:
    """End this process and all of its group, as `kill -9` does."""
    os.killpg(0, signal.SIGKILL)
    raise AssertionError("nobody survives that")


def plant(point: str, passings: int) -> None:
    """Die at the so-manieth passing of a point.

    Raises:
        OrderUnknown: there is no such point.
    """
    if point not in POINTS:
        raise OrderUnknown(f"kill:{point}; there are: {', '.join(POINTS)}")
    POINTS[point](Bomb(passings))


def _before(owner: Any, name: str, bomb: Callable[[], None]) -> None:
    original = getattr(owner, name)

    @functools.wraps(original)
    def wrapped(*args: Any, **kwargs: Any) -> Any:
        bomb()
        return original(*args, **kwargs)

    setattr(owner, name, wrapped)


def _after(owner: Any, name: str, bomb: Callable[[], None]) -> None:
    original = getattr(owner, name)

    @functools.wraps(original)
    def wrapped(*args: Any, **kwargs: Any) -> Any:
        result = original(*args, **kwargs)
        bomb()
        return result

    @functools.wraps(original)
    async def awaited(*args: Any, **kwargs: Any) -> Any:
        result = await original(*args, **kwargs)
        bomb()
        return result

    setattr(owner, name, awaited if iscoroutinefunction(original) else wrapped)


def _api_written(bomb: Bomb) -> None:
    """The rows are written, and not committed."""
    from users_api import routes

    _after(routes, "answer_once", bomb)


def _api_committed(bomb: Bomb) -> None:
    """The rows are committed, and the client isn't answered."""
    from users_api import routes

    original = getattr(routes, "transaction")  # noqa: B009  # not the module's to export

    @asynccontextmanager
    async def wrapped(pool: Any) -> AsyncIterator[Any]:
        async with original(pool) as connection:
            yield connection
        bomb()

    setattr(routes, "transaction", wrapped)  # noqa: B010  # as above


def _relay_claimed(bomb: Bomb) -> None:
    """Deliveries are `queued`, and their messages not in Redis."""
    from messaging.relay.dispatch import Dispatcher

    _before(Dispatcher, "_enqueue", bomb)


def _relay_enqueued(bomb: Bomb) -> None:
    """Their messages are in Redis, and the relay doesn't know."""
    from messaging.relay.dispatch import Dispatcher

    _after(Dispatcher, "_enqueue", bomb)


def _relay_applied(bomb: Bomb) -> None:
    """Receipts are applied, and not taken from the stream."""
    from messaging.receipts import ReceiptReader

    done = ReceiptReader.done

    def wrapped(self: ReceiptReader, entry_ids: Iterable[bytes]) -> None:
        if ids := list(entry_ids):
            bomb()
        done(self, ids)

    setattr(ReceiptReader, "done", wrapped)  # noqa: B010  # mypy knows methods are no variables


def _notifier_before_send(bomb: Bomb) -> None:
    """Mails are claimed; not one is on its way in any thread."""
    from notifier.ledger import Ledger
    from notifier.smtp import Mailer

    gate = _Gate(bomb)
    send, record = Mailer.send, Ledger.record

    def sending(*args: Any, **kwargs: Any) -> None:
        gate.enter()
        try:
            send(*args, **kwargs)
        except BaseException:
            gate.leave()
            raise

    def recording(*args: Any, **kwargs: Any) -> None:
        try:
            record(*args, **kwargs)
        finally:
            gate.leave()

    setattr(Mailer, "send", sending)  # noqa: B010  # mypy knows methods are no variables
    setattr(Ledger, "record", recording)  # noqa: B010  # as above


class _Gate:
    """Lets threads send until the bomb's time has come; then nobody enters, and when the last one is out, all die."""

    def __init__(self, bomb: Bomb) -> None:
        self._bomb = bomb
        self._inside = 0
        self._closed = False
        self._moved = threading.Condition()

    def enter(self) -> None:
        with self._moved:
            self._closed = self._bomb.passed() or self._closed
            if self._closed:
                self._moved.wait_for(lambda: self._inside == 0)
                die()
            self._inside += 1

    def leave(self) -> None:
        with self._moved:
            self._inside -= 1
            self._moved.notify_all()


def _notifier_sent(bomb: Bomb) -> None:
    """The server has said 250, and the ledger doesn't know."""
    from notifier.smtp import Mailer

    _after(Mailer, "send", bomb)


def _auditor_written(bomb: Bomb) -> None:
    """A group is in the log, and not committed."""
    from auditor import handlers

    _after(handlers, "record", bomb)


def _auditor_committed(bomb: Bomb) -> None:
    """A group is committed, and nobody knows."""
    import messaging

    subscribe_group = messaging.subscribe_group

    def subscribe(broker: Any, subscription: Any, handler: Any, **more: Any) -> Any:
        def handle(deliveries: Any) -> None:
            handler(deliveries)
            bomb()

        return subscribe_group(broker, subscription, handle, **more)

    messaging.subscribe_group = subscribe


POINTS: dict[str, Callable[[Bomb], None]] = {
    "api.written": _api_written,
    "api.committed": _api_committed,
    "relay.claimed": _relay_claimed,
    "relay.enqueued": _relay_enqueued,
    "relay.applied": _relay_applied,
    "notifier.before_send": _notifier_before_send,
    "notifier.sent": _notifier_sent,
    "auditor.written": _auditor_written,
    "auditor.committed": _auditor_committed,
}
