"""The message: what one Dramatiq message carries from the relay to a consumer.

Its arguments are the name of the publisher, whose relay receives the receipts, and a batch: a list of `{"dispatch",
"generation", "event"}`, where `event` is a CloudEvents envelope. Its id begins with the publisher's name and a slash.
The actor has the subscription's name. Only this module knows the format.
"""

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Generic
from uuid import UUID

from dramatiq import DecodeError, Message

from contracts import Event, EventData, Subscription, decode
from contracts.envelope import DataT
from messaging.errors import ConfigurationError, MessagingError
from messaging.wire.receipt import MAX_DISPATCH, storable


@dataclass(frozen=True, slots=True)
class Attempt(Generic[DataT]):
    """One attempt at a delivery, as a consumer receives it.

    `dispatch`: how often the delivery was enqueued. `generation`: how often an operator retried or replayed it.
    `publisher`: the service whose relay receives the receipts. `began`: when its handler was called, by this process's
    monotonic clock; None before.
    """

    event: Event[DataT]
    subscription: str
    dispatch: int
    generation: int
    publisher: str = ""
    began: float | None = field(default=None, compare=False)

    def begun(self, at: float) -> "Attempt[DataT]":
        """Return this attempt with the time at which its handler was called."""
        return replace(self, began=at)


@dataclass(frozen=True, slots=True)
class Reference:
    """A delivery and its dispatch: enough to report on the delivery without reading the event."""

    event_id: UUID
    subscription: str
    dispatch: int


class QuietMessage(Message[Any]):
    """A message whose events stay out of Dramatiq's log lines: they hold email addresses."""

    def __str__(self) -> str:
        """Return the actor's name and the message's id."""
        return f"{self.actor_name}({self.message_id})"


@dataclass(frozen=True, slots=True)
class Item:
    """What a message carries for one delivery. `envelope`: JSON as PostgreSQL stores it; the relay doesn't parse it."""

    dispatch: int
    generation: int
    envelope: str


_ID = re.compile("([a-z0-9-]+)/")


def id_prefix(publisher: str) -> str:
    """Return the prefix of the ids of a publisher's messages.

    Raises:
        ConfigurationError: the publisher's name has characters other than a-z, 0-9 and -.
    """
    prefix = f"{publisher}/"
    if not _ID.fullmatch(prefix):
        raise ConfigurationError(f"the publisher's name is {publisher!r}; it must consist of a-z, 0-9 and -")
    return prefix


def encode(message_id: str, subscription: Subscription[EventData], batch: Iterable[Item]) -> bytes:
    """Make the message for the subscription's actor, in the bytes that Dramatiq's Redis broker would store."""
    shell = Message[Any](
        queue_name=subscription.queue,
        actor_name=subscription.name,
        args=(),
        kwargs={},
        options={"redis_message_id": message_id},
        message_id=message_id,
    ).asdict()
    del shell["args"]
    items = ",".join(
        f'{{"dispatch":{item.dispatch},"generation":{item.generation},"event":{item.envelope}}}' for item in batch
    )
    return f'{json.dumps(shell)[:-1]},"args":["{_publisher(message_id)}",[{items}]]}}'.encode()


class NotOursError(MessagingError):
    """No relay of Herald made this message, and it is dropped. Find out which program writes to this Redis."""


def read(queue: str, message_id: bytes, data: bytes) -> Message[Any]:
    """Read the data of a message that was taken from `queue`, in which its id is `message_id`.

    Raises:
        NotOursError: the data isn't exactly what `encode` makes. Dramatiq would act on anything more that it says
            (another queue, a delay), and its thread would die of that.
    """
    try:
        message, queued_id = QuietMessage.decode(data), message_id.decode()
    except (DecodeError, UnicodeDecodeError):
        raise NotOursError("the message can't be decoded") from None
    expected: tuple[Any, ...] = (queue, queued_id, {"redis_message_id": queued_id}, {})
    if (message.queue_name, message.message_id, message.options, message.kwargs) != expected:
        raise NotOursError("the message's queue, id or options aren't those of a delivery")
    match message.args:
        case [str(publisher), list()] if publisher == _publisher(queued_id):
            pass
        case _:
            raise NotOursError("the message carries no batch of the publisher that its id names")
    if not storable(message.actor_name):
        raise NotOursError("the actor's name isn't text that PostgreSQL can store")
    return message


def publisher_of(message: Message[Any]) -> str:
    """Return the publisher of a message that `read` has returned."""
    return str(message.args[0])


def _publisher(message_id: str) -> str | None:
    match = _ID.match(message_id)
    return match and match[1]


def references(data: bytes) -> list[Reference]:
    """List the deliveries in an encoded message; none, if no relay of Herald made it."""
    try:
        return contents(Message.decode(data))
    except DecodeError:
        return []


def contents(message: Message[Any]) -> list[Reference]:
    """List the deliveries in a message; none, if no relay of Herald made it."""
    try:
        return [reference(message.actor_name, item) for item in message.args[1]]
    except MALFORMED:
        return []


MALFORMED = (AttributeError, IndexError, KeyError, TypeError, ValueError)
"""What reading an item raises if no relay of Herald made it."""


def reference(subscription: str, item: Mapping[str, Any]) -> Reference:
    """Read which delivery an item of a batch is for, even if its event breaks its contract.

    Raises:
        MALFORMED: no relay of Herald made the item.
    """
    return Reference(UUID(item["event"]["id"]), subscription, _count(item["dispatch"]))


def _count(value: object) -> int:
    """Return a value that is a dispatch or a generation.

    Raises:
        ValueError: it isn't an integer from 0 to MAX_DISPATCH.
    """
    if type(value) is not int or not 0 <= value <= MAX_DISPATCH:
        raise ValueError(f"a dispatch or generation must be an integer from 0 to {MAX_DISPATCH}")
    return value


def open_item(subscription: Subscription[DataT], item: Mapping[str, Any], publisher: str) -> Attempt[DataT]:
    """Read an item of a publisher's batch. The event's data is upcast to the version that the subscription takes.

    Raises:
        contracts.ContractError: the event's version is unknown, or the event breaks its contract.
        MALFORMED: no relay of Herald made the item.
    """
    event = decode(item["event"], subscription.event)
    return Attempt(event, subscription.name, _count(item["dispatch"]), _count(item["generation"]), publisher)
