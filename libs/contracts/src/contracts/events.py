"""Every event that Herald publishes, one model for each version."""

from collections.abc import Mapping
from typing import ClassVar

from pydantic import AwareDatetime, ValidationError

from contracts.envelope import DataT, Event, EventData
from contracts.errors import InvalidEvent, UnknownEventVersion


class UserRegistered(EventData):
    """A user registered, and the registration is committed."""

    event_type: ClassVar[str] = "user_registered"
    version: ClassVar[int] = 1

    user_id: int
    email: str
    full_name: str
    registered_at: AwareDatetime


#: Which envelope reads which `dataschema`. Add a version here, and keep the old one while it is in flight.
EVENTS: Mapping[str, type[Event[EventData]]] = {
    UserRegistered.schema_uri(): Event[UserRegistered],
}


def decode(envelope: Mapping[str, object], newest: type[DataT]) -> Event[DataT]:
    """Read an envelope, as decoded from JSON, into the event that its `dataschema` names.

    Raises:
        UnknownEventVersion: this code knows no such `dataschema`.
        InvalidEvent: the envelope or its data doesn't fit the model.
    """
    schema = envelope.get("dataschema")
    model = EVENTS.get(schema) if isinstance(schema, str) else None
    if model is None:
        raise UnknownEventVersion(f"no model for dataschema {schema!r}; known: {', '.join(EVENTS)}")
    try:
        return Event[newest].model_validate(envelope)  # type: ignore[valid-type]
    except ValidationError as error:
        raise InvalidEvent(_faults(error)) from None


def _faults(error: ValidationError) -> str:
    """Name the fields at fault without quoting their values: they may be someone's address."""
    faults = error.errors(include_input=False, include_url=False, include_context=False)
    return "; ".join(f"{'.'.join(map(str, fault['loc']))}: {fault['msg']}" for fault in faults)
