"""Numbers, times and sizes as people read them: filters of the templates."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

_UNITS = ((86_400, "d"), (3600, "h"), (60, "min"), (1, "s"))
_BYTES = ("bytes", "kB", "MB", "GB", "TB")


def number(value: int) -> str:
    """Return 12345 as 12,345."""
    return f"{value:,}"


def counted(value: Any) -> str:
    """Return a count that has `count` and `exact`; "more than 10,000", if counting stopped there."""
    return number(value.count) if value.exact else f"more than {number(value.count)}"


def tallied(value: Any) -> str:
    """Return a count of the status. What isn't exact was counted by a relay a while ago, or is a lower bound."""
    return number(value.count) if value.exact else f"{number(value.count)} or more"


def messages(count: int) -> str:
    """Return "1 message" or "12 messages"."""
    return f"{number(count)} message{'' if count == 1 else 's'}"


def duration(seconds: float | None) -> str:
    """Return seconds with at most two units: 12 ms, 4.2 s, 3 min, 2 h 5 min, 3 d 4 h."""
    if seconds is None:
        return "–"  # noqa: RUF001  # a dash
    if round(seconds * 1000) < 1000:  # noqa: PLR2004  # milliseconds of a second
        return f"{seconds * 1000:.0f} ms"
    if round(seconds, 1) < 10:  # noqa: PLR2004  # from here on, tenths don't matter
        return f"{seconds:.1f} s"
    seconds = max(seconds, 10)
    rest, parts = int(seconds), list[str]()
    for size, unit in _UNITS:
        if rest >= size:
            parts.append(f"{rest // size} {unit}")
            rest %= size
        if len(parts) == 2 or (parts and unit == "min"):  # noqa: PLR2004
            break
    return " ".join(parts)


def precisely(seconds: float) -> str:
    """Return seconds as `duration` does, and below an hour with the seconds beside the minutes: 2 min 20 s."""
    minutes, rest = divmod(int(seconds), 60)
    if not 1 <= minutes < 60 or not rest:  # noqa: PLR2004  # minutes of an hour
        return duration(seconds)
    return f"{minutes} min {rest} s"


def ago(time: datetime) -> str:
    """Return how long ago a time was, or how soon it is."""
    seconds = (datetime.now(UTC) - time).total_seconds()
    if abs(seconds) < 1:
        return "now"
    return f"{duration(max(seconds, 1))} ago" if seconds > 0 else f"in {duration(-seconds)}"


def absolute(time: datetime) -> str:
    """Return a time in UTC: 2026-11-23 16:27:01 UTC."""
    return time.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def clock(time: datetime) -> str:
    """Return the time of day in UTC, with milliseconds."""
    return time.astimezone(UTC).strftime("%H:%M:%S.%f")[:-3]


def size(number_of_bytes: float | None) -> str:
    """Return 1500000 as 1.5 MB; "unknown", if the server doesn't say."""
    if number_of_bytes is None:
        return "unknown"
    value, unit = float(number_of_bytes), _BYTES[0]
    for unit in _BYTES:  # noqa: B007  # it is used afterwards
        if value < 1000:  # noqa: PLR2004
            break
        value /= 1000
    return f"{value:.0f} {unit}" if unit == "bytes" or value >= 100 else f"{value:.1f} {unit}"  # noqa: PLR2004


FILTERS: dict[str, Callable[..., str]] = {
    "number": number,
    "tallied": tallied,
    "messages": messages,
    "counted": counted,
    "duration": duration,
    "precisely": precisely,
    "ago": ago,
    "absolute": absolute,
    "clock": clock,
    "size": size,
}
