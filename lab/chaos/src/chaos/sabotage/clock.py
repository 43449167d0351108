"""A wrong wall clock."""

from datetime import timedelta

import time_machine

_travels: list[time_machine.travel] = []


def skew(seconds: float) -> None:
    """Let this process' wall clock be wrong by this many seconds. The last order counts."""
    while _travels:
        _travels.pop().stop()
    _travels.append(time_machine.travel(timedelta(seconds=seconds), tick=True))
    _travels[-1].start()
