"""A subscription's policies in words, for people who read the AsyncAPI document, docs/events.md or `/events`."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from pydantic import TypeAdapter

Effect = Mapping[str, Any]
"""A subscription as JSON, as the AsyncAPI document has it in `x-herald-effect`."""

_UNITS = ((86_400, "d"), (3_600, "h"), (60, "min"))
_DURATION = TypeAdapter(timedelta)


def retries(effect: Effect) -> str:
    """Say how often a delivery is attempted, and how far apart: each delay is twice the one before."""
    retry = effect["retry"]
    return f"{retry['max_attempts']:,} attempts, {span(retry['first_delay'])} to {span(retry['max_delay'])} apart"


def due(effect: Effect) -> str:
    """Say when the effect is due, and which setting turns it on."""
    delay, setting, switch = effect["delay"], effect["delay_setting"], effect["switch"]
    seconds = _DURATION.validate_python(delay).total_seconds()
    after = f"{span(seconds)} after the event" if seconds else "at once"
    if setting:
        after = f"`{setting}` after the event"
    condition = "it" if switch == setting else f"`{switch}`"
    return f"{after}, if {condition} is set" if switch else after


def span(seconds: float) -> str:
    """Write a duration in the largest unit that it is a whole number of."""
    for unit, name in _UNITS:
        if seconds >= unit and seconds % unit == 0:
            return f"{seconds / unit:g} {name}"
    return f"{seconds:g} s"
