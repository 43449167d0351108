"""A moment as a person writes it: `10m`, `2h`, `3d`, `12:00`, `2026-11-30`, or ISO 8601."""

import re
from datetime import UTC, datetime, time, timedelta

_AGO = re.compile(r"([0-9]{1,6}) *([SMHD])")
_UNITS = {"S": "seconds", "M": "minutes", "H": "hours", "D": "days"}


def read_moment(text: str, now: datetime) -> datetime:
    """Return the time that a text means. It is UTC, unless the text names another offset. `12:00` is of today, there.

    Raises:
        ValueError: it is not a time.
    """
    if not text.isascii():
        raise ValueError(text)
    try:
        return _read(text.strip().upper(), now)
    except OverflowError:
        raise ValueError(text) from None


def _read(text: str, now: datetime) -> datetime:
    if ago := _AGO.fullmatch(text):
        return now - timedelta(**{_UNITS[ago[2]]: int(ago[1])})
    if text[2:3] == ":":
        hour = time.fromisoformat(text)
        zone = hour.tzinfo or UTC
        return datetime.combine(now.astimezone(zone).date(), hour, zone)
    read = datetime.fromisoformat(text)
    return read if read.tzinfo else read.replace(tzinfo=UTC)
