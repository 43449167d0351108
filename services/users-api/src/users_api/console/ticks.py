"""Round times along a time axis."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Literal

from users_api.console.words import precisely

_TICKS = 5
_NEAR_END = 90.0


@dataclass(frozen=True, slots=True)
class Tick:
    """A place on the axis. `label`: the time since its beginning."""

    left: float
    label: str
    anchor: Literal["start", "middle", "end"]


def ticks_of(length: timedelta) -> list[Tick]:
    """Return round times along the axis."""
    step = _step(length)
    times = [number * step for number in range(int(length / step) + 1)]
    ticks = [Tick(round(at / length * 100, 3), precisely(at.total_seconds()), "middle") for at in times]
    ticks[0] = Tick(0.0, "0", "start")
    if ticks[-1].left > _NEAR_END:
        ticks[-1] = Tick(ticks[-1].left, ticks[-1].label, "end")
    return ticks


_ROUND = [
    timedelta(seconds=seconds)
    for seconds in (
        *(mantissa * 10**power for power in (-3, -2, -1, 0) for mantissa in (1, 2, 5)),
        *(10, 20, 30, 60, 120, 300, 600, 1200, 1800, 3600, 7200, 14_400, 21_600, 43_200),
        *(86_400 * days for days in (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000)),
    )
]


def _step(length: timedelta) -> timedelta:
    return next((step for step in _ROUND if length / step <= _TICKS), length)
