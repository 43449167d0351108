"""Points between two lines at which a process can be ordered to die."""

from collections.abc import Callable, Iterable
from typing import Any

from chaos.sabotage.bomb import Bomb, Gate, after, before
from chaos.sabotage.errors import OrderUnknown


def plant(point: str, passings: int) -> None:
    """Die at a given passing of a point.

    Raises:
        OrderUnknown: there is no such point.
    """
    if point not in POINTS:
        raise OrderUnknown(f"kill:{point}; there are: {', '.join(POINTS)}")
    POINTS[point](Bomb(passings))


def _api_written(bomb: Bomb) -> None:
    """A group is complete, and not sent."""
    from users_api import registrar

    before(registrar, "register", bomb)


def _api_committed(bomb: Bomb) -> None:
    """A group is committed, and no client is answered."""
    from users_api import registrar

    after(registrar, "register", bomb)


def _relay_claimed(bomb: Bomb) -> None:
    """Deliveries are `queued`, and their messages not in Redis."""
    from messaging.relay.dispatch import Dispatcher

    before(Dispatcher, "_enqueue", bomb)


def _relay_enqueued(bomb: Bomb) -> None:
    """Their messages are in Redis, and the relay has no answer yet."""
    from messaging.relay.dispatch import Dispatcher

    after(Dispatcher, "_enqueue", bomb)


def _relay_applied(bomb: Bomb) -> None:
    """Receipts are applied, and not taken from the stream."""
    from messaging.relay.receipt_reader import ReceiptReader

    done = ReceiptReader.done

    def wrapped(self: ReceiptReader, entry_ids: Iterable[bytes]) -> None:
        if ids := list(entry_ids):
            bomb()
        done(self, ids)

    setattr(ReceiptReader, "done", wrapped)  # noqa: B010  # mypy knows methods are no variables


def _notifier_before_send(bomb: Bomb) -> None:
    """Mails are claimed; no thread is sending one, and all that were sent are recorded."""
    from messaging.effects import once
    from messaging.effects.recorder import Recorder

    gate = Gate(bomb)
    before(once, "call", gate.enter)
    after(Recorder, "wait", gate.leave)


def _notifier_sent(bomb: Bomb) -> None:
    """The mail server has accepted a mail, and it isn't recorded."""
    from notifier import handlers

    after(handlers, "send_email", bomb)


def _auditor_written(bomb: Bomb) -> None:
    """A group is in the log, and not committed."""
    from auditor import handlers

    after(handlers, "record", bomb)


def _auditor_committed(bomb: Bomb) -> None:
    """A group is committed and not reported."""
    import messaging

    subscribe_group = messaging.subscribe_group

    def subscribe(broker: Any, subscription: Any, handler: Any, **more: Any) -> Any:
        def handle(deliveries: Any) -> None:
            handler(deliveries)
            bomb()

        return subscribe_group(broker, subscription, handle, **more)

    messaging.subscribe_group = subscribe


def _auditor_sealing(bomb: Bomb) -> None:
    """A seal is written, and not committed."""
    from auditor.chain import sealing

    after(sealing, "_write", bomb)


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
    "auditor.sealing": _auditor_sealing,
}
