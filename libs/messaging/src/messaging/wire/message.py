"""The message: what one Dramatiq message carries from the relay to a consumer.

Its arguments are the publisher, to whose relay receipts go, and a batch: a list of `{"dispatch", "generation",
"event"}`, where `event` is a CloudEvents envelope. Its id begins with the publisher and a slash. The actor is named for
the subscription. Only this module knows the format.
"""

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Generic
from uuid import UUID

from dramatiq import DecodeError, Message

from contracts import Event, EventData, Subscription, decode
from contracts.envelope import DataT
from messaging.errors import ConfigurationError, MessagingError
from messaging.wire.receipts import MAX_DISPATCH, storable


@dataclass(frozen=True, slots=True)
class Attempt(Generic[DataT]):
    """One attempt at a delivery, as a consumer gets it.

    `dispatch` counts how often the delivery was enqueued; `generation` how often an operator asked for it again.
    """

    event: Event[DataT]
    subscription: str
    dispatch: int
    generation: int


@dataclass(frozen=True, slots=True)
class Reference:
    """Which delivery, and which enqueueing of it: enough to report on it without reading the event."""

    event_id: UUID
    subscription: str
    dispatch: int


class QuietMessage(Message[Any]):
    """A message that doesn't quote its events where Dramatiq logs it: there are addresses in them."""

    def __str__(self) -> str:
        """Name the actor and the message."""
        return f"{self.actor_name}({self.message_id})"


@dataclass(frozen=True, slots=True)
class Item:
    """What a message carries of one delivery. `envelope`: JSON as PostgreSQL has it, which nobody reads on the way."""

    dispatch: int
    generation: int
    envelope: str


_ID = re.compile("([a-z0-9-]+)/")


def id_prefix(publisher: str) -> str:
    """Return how the ids of a publisher's messages begin.

    Raises:
        ConfigurationError: the publisher's name has other characters than ids can hold.
    """
    prefix = f"{publisher}/"
    if not _ID.fullmatch(prefix):
        raise ConfigurationError(f"the publisher's name is {publisher!r}; it must consist of a-z, 0-9 and -")
    return prefix


def encode(message_id: str, subscription: Subscription[EventData], batch: Iterable[Item]) -> bytes:
    """Make the Dramatiq message for the subscription's actor, as its Redis broker stores it."""
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
        f'{{"dispatch":{each.dispatch},"generation":{each.generation},"event":{each.envelope}}}' for each in batch
    )
    return f'{json.dumps(shell)[:-1]},"args":["{_publisher(message_id)}",[{items}]]}}'.encode()


class NotOursError(MessagingError):
    """No relay of ours has made this message. It is dropped: find out which program writes to this Redis."""


def read(queue: str, message_id: bytes, data: bytes) -> Message[Any]:
    """Read a message that was taken from a queue, where it has this id.

    Raises:
        NotOursError: it isn't exactly what `encode` makes. Dramatiq would act on what else it says (another queue, a
            delay), and lose the thread that does.
    """
    try:
        message, our_id = QuietMessage.decode(data), message_id.decode()
    except (DecodeError, UnicodeDecodeError):
        raise NotOursError("it can't be read") from None
    expected: tuple[Any, ...] = (queue, our_id, {"redis_message_id": our_id}, {})
    if (message.queue_name, message.message_id, message.options, message.kwargs) != expected:
        raise NotOursError("its queue, id or options are not those of a delivery")
    match message.args:
        case [str(publisher), list()] if publisher == _publisher(our_id):
            pass
        case _:
            raise NotOursError("it carries no batch of the publisher that its id names")
    if not storable(message.actor_name):
        raise NotOursError("its actor's name is no text")
    return message


def publisher_of(message: Message[Any]) -> str:
    """Return the publisher of a message that `read` has returned."""
    return str(message.args[0])


def _publisher(message_id: str) -> str | None:
    named = _ID.match(message_id)
    return named and named[1]


def references(data: bytes) -> list[Reference]:
    """List what an encoded message carries; a message that isn't ours carries nothing."""
    try:
        return contents(Message.decode(data))
    except DecodeError:
        return []


def contents(message: Message[Any]) -> list[Reference]:
    """List what a message carries; one that isn't ours carries nothing."""
    try:
        return [reference(message.actor_name, item) for item in message.args[1]]
    except MALFORMED:
        return []


MALFORMED = (AttributeError, IndexError, KeyError, TypeError, ValueError)
"""What reading an item raises that no relay of ours has made."""


def reference(subscription: str, item: Mapping[str, Any]) -> Reference:
    """Read which delivery an item of a batch is, even where its event can't be read."""
    return Reference(UUID(item["event"]["id"]), subscription, _count(item["dispatch"]))


def _count(value: object) -> int:
    """Return a dispatch or a generation.

    Raises:
        ValueError: it is none.
    """
    if type(value) is not int or not 0 <= value <= MAX_DISPATCH:
        raise ValueError("a dispatch or generation is a small integer")
    return value


def open_item(subscription: Subscription[DataT], item: Mapping[str, Any]) -> Attempt[DataT]:
    """Read an item of a batch.

    Raises:
        contracts.ContractError: the event is of an unknown version, or doesn't fit its contract.
    """
    event = decode(item["event"], subscription.event)
    return Attempt(event, subscription.name, _count(item["dispatch"]), _count(item["generation"]))
