"""Every event that Herald publishes, one model for each version."""

from typing import ClassVar

from pydantic import AwareDatetime

from contracts.envelope import EventData


class UserRegistered(EventData):
    """A user registered, and the registration is committed."""

    event_type: ClassVar[str] = "user_registered"
    version: ClassVar[int] = 1

    user_id: int
    email: str
    full_name: str
    registered_at: AwareDatetime


EVENTS: tuple[type[EventData], ...] = (UserRegistered,)
"""The newest version of each event type. `predecessor` leads to the older versions. Keep an older version's model as
long as a database holds events of that version."""
