"""Events that do harm, and events that are ahead of their time."""

from typing import Any, ClassVar, Self

import contracts
from chaos.sabotage.bomb import die
from contracts import SUBSCRIPTIONS, EventData, UserRegistered


class UserRegisteredV2(UserRegistered):
    """What a newer users-api might publish: one field more, and a new meaning that an old consumer can't know."""

    version: ClassVar[int] = 2
    predecessor: ClassVar[type[EventData] | None] = UserRegistered

    locale: str

    @classmethod
    def upcast(cls, old: UserRegistered) -> Self:
        """Version 1 was English throughout."""
        return cls(**old.model_dump(), locale="en")


def know_version_2() -> None:
    """Let this process be the upgraded one: what it imports from `contracts` takes version 2."""
    for subscription in SUBSCRIPTIONS:
        newer = subscription.model_copy(update={"event": UserRegisteredV2})
        setattr(contracts, subscription.name.upper(), newer)


def poison(beginning: str) -> None:
    """Die whenever the welcome email of an address that begins so is to be sent."""
    from notifier import handlers

    send = handlers.send_welcome_email

    def poisoned(email: str, *args: Any, **more: Any) -> str | None:
        if email.startswith(beginning):
            die()
        return send(email, *args, **more)

    setattr(handlers, "send_welcome_email", poisoned)  # noqa: B010  # mypy knows functions are no variables
