"""Which effects are on. A subscription with a `switch` is on while the setting of that name isn't empty.

Only publishers ask: while an effect is off they write no delivery for it, so it costs nothing. A delivery that was
written while the effect was on is delivered all the same; cancel it, if the effect is no longer wanted.
"""

import re
from collections.abc import Sequence
from datetime import timedelta
from functools import cache

from contracts import SUBSCRIPTIONS, EventData, Subscription
from messaging.errors import ConfigurationError
from messaging.process.settings import setting

_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86_400}


@cache
def enabled() -> tuple[Subscription[EventData], ...]:
    """Return the subscriptions that are on, with their delays. A process reads their settings once.

    Raises:
        ConfigurationError: a setting is wrong.
    """
    return switched_on(SUBSCRIPTIONS)


def effects_of(event: type[EventData]) -> tuple[Subscription[EventData], ...]:
    """Return the subscriptions to an event, in any version, that are on.

    Raises:
        ConfigurationError: a setting is wrong.
    """
    return tuple(effect for effect in enabled() if effect.event_type == event.event_type)


def switched_on(subscriptions: Sequence[Subscription[EventData]]) -> tuple[Subscription[EventData], ...]:
    """Return those subscriptions that the environment turns on, with the delays that it sets.

    Raises:
        ConfigurationError: a setting is wrong.
    """
    return tuple(_with_delay(each) for each in subscriptions if each.switch is None or setting(each.switch))


def _with_delay(subscription: Subscription[EventData]) -> Subscription[EventData]:
    name = subscription.delay_setting
    return subscription.model_copy(update={"delay": duration(name, setting(name))}) if name else subscription


def duration(name: str, text: str) -> timedelta:
    """Read the value of a setting as a duration, such as `90s`, `15m`, `36h` or `3d`, of at most ten years.

    Raises:
        ConfigurationError: the value isn't a duration.
    """
    found = re.fullmatch(r"(\d{1,9}(?:\.\d{1,9})?) ?([smhd])", text, re.ASCII)
    seconds = float(found[1]) * _SECONDS[found[2]] if found else -1.0
    if not 0 <= seconds <= 3650 * _SECONDS["d"]:
        raise ConfigurationError(f"{name}: {text!r} isn't a duration. Write a number and s, m, h or d, such as 3d")
    return timedelta(seconds=seconds)
