"""Events that kill a worker, and events of a newer version."""

from typing import Any, ClassVar, Self

import contracts
from chaos.sabotage.bomb import die
from contracts import EventData, UserRegistered, subscriptions_to


class NewerUserRegistered(UserRegistered):
    """What a newer users-api might publish: one more field, which changes the meaning for consumers."""

    version: ClassVar[int] = UserRegistered.version + 1
    predecessor: ClassVar[type[EventData] | None] = UserRegistered

    plan: str

    @classmethod
    def upcast(cls, old: Any) -> Self:
        """Until then, all users had the same plan."""
        return cls(**old.model_dump(), plan="free")


def know_newer_version() -> None:
    """Let this process be an upgraded one: its `contracts` knows the newer version."""
    for subscription in subscriptions_to(UserRegistered.event_type):
        newer = subscription.model_copy(update={"event": NewerUserRegistered})
        setattr(contracts, subscription.name.upper(), newer)


def poison(beginning: str) -> None:
    """Die instead of sending a welcome email to an address that begins with `beginning`."""
    from notifier import handlers

    send = handlers.send_email

    def poisoned(template: str, email: str, *args: Any, **more: Any) -> str | None:
        if email.startswith(beginning):
            die()
        return send(template, email, *args, **more)

    setattr(handlers, "send_email", poisoned)  # noqa: B010  # mypy knows functions are no variables
