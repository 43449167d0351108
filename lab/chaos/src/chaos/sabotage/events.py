"""Events that do harm, and events that are ahead of their time."""

from collections.abc import MutableMapping
from typing import Any, ClassVar, cast

from chaos.sabotage.bomb import die
from contracts import Event, EventData, UserRegistered, events


class UserRegisteredV2(UserRegistered):
    """What a newer users-api might publish: one field more, and a new meaning that an old consumer can't know."""

    version: ClassVar[int] = 2

    locale: str


def know_version_2() -> None:
    """Let this process be the upgraded one."""
    cast(MutableMapping[str, type[Event[EventData]]], events.EVENTS)[UserRegisteredV2.schema_uri()] = Event[
        UserRegisteredV2
    ]


def poison(beginning: str) -> None:
    """Die whenever the welcome email of an address that begins so is to be sent."""
    from notifier import handlers

    send = handlers.send_welcome_email

    def poisoned(email: str, *args: Any, **more: Any) -> str | None:
        if email.startswith(beginning):
            die()
        return send(email, *args, **more)

    setattr(handlers, "send_welcome_email", poisoned)  # noqa: B010  # mypy knows functions are no variables
