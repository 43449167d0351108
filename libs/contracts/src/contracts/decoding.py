"""Read an envelope as the newest version that the consumer knows, whichever version it was written in."""

from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

from pydantic import ValidationError

from contracts.envelope import DataT, Event, EventData
from contracts.errors import ContractError, InvalidEvent, UnknownEventVersion

Reader = tuple[type[Event[Any]], tuple[type[EventData], ...]]
"""The envelope's model for one version of an event, and the later versions, oldest first."""


def decode(envelope: Mapping[str, object], newest: type[DataT]) -> Event[DataT]:
    """Read an envelope, as decoded from JSON, as an event with data of `newest`. An older version is upcast.

    Raises:
        UnknownEventVersion: the envelope's `dataschema` is neither `newest` nor a version before it.
        InvalidEvent: the event is of another type, or doesn't fit the model of its version or of a later one.
    """
    try:
        model, later = _readers(newest)[envelope["type"], envelope["dataschema"]]
    except (KeyError, TypeError):  # an attribute is missing, unknown, or not text
        raise _unreadable(envelope, newest) from None
    try:
        event: Event[DataT] = model.model_validate(envelope)
        return _upcast(event, later) if later else event
    except ValidationError as error:
        raise InvalidEvent(_faults(error)) from None


@cache
def _readers(newest: type[EventData]) -> Mapping[tuple[object, object], Reader]:
    """Return a reader for `newest` and for each version before it, by `type` and `dataschema`."""
    older = _readers(newest.predecessor) if newest.predecessor else {}
    upcast = {key: (model, (*later, newest)) for key, (model, later) in older.items()}
    return {(newest.event_type, newest.schema_uri()): (_envelope_of(newest), ()), **upcast}


def _unreadable(envelope: Mapping[str, object], newest: type[EventData]) -> ContractError:
    if envelope.get("type") != newest.event_type:
        return InvalidEvent(f"type: the event isn't of type {newest.event_type}")
    known = ", ".join(str(schema) for _, schema in _readers(newest))
    return UnknownEventVersion(
        f"no model for dataschema {envelope.get('dataschema')!r}; known: {known};"
        " deploy a consumer that knows it, then retry the delivery"
    )


def _envelope_of(data: type[EventData]) -> type[Event[Any]]:
    return Event[data]  # type: ignore[valid-type]  # a model that is made at run time


def _upcast(event: Event[Any], later: Sequence[type[EventData]]) -> Event[Any]:
    """Upcast an event to the last of `later`, one version at a time."""
    data = event.data
    for version in later:
        try:
            data = version.upcast(data)
        except ValidationError:
            raise
        except Exception as error:
            raise InvalidEvent(f"the upcast to {version.schema_uri()} raised {type(error).__name__}") from None
        if not isinstance(data, version):
            raise InvalidEvent(f"the upcast to {version.schema_uri()} returned a {type(data).__name__}")
    return _envelope_of(later[-1]).model_validate({**dict(event), "data": data, "dataschema": data.schema_uri()})


def _faults(error: ValidationError) -> str:
    """Describe the invalid fields without quoting their values, which may be email addresses."""
    faults = error.errors(include_input=False, include_url=False, include_context=False)
    return "; ".join(f"{'.'.join(map(str, fault['loc']))}: {fault['msg']}" for fault in faults)
