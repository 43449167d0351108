"""A moment in the past as a person types it into a page: `10m`, `2h`, `3d`, `12:00`, `2026-11-30`, or ISO 8601."""

import re
from datetime import UTC, datetime, time, timedelta

_AGO = re.compile(r"(\d{1,5})\s*([smhd])")
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}


def read_moment(text: str, now: datetime) -> datetime:
    """Return the time that a text means. Without an offset it is UTC.

    Raises:
        ValueError: it is not a time.
    """
    written = text.strip().lower()
    if ago := _AGO.fullmatch(written):
        return now - timedelta(**{_UNITS[ago[2]]: int(ago[1])})
    if written[2:3] == ":":
        hour = time.fromisoformat(written)
        zone = hour.tzinfo or UTC
        return datetime.combine(now.astimezone(zone).date(), hour.replace(tzinfo=None), zone)
    read = datetime.fromisoformat(written.upper())
    return read if read.tzinfo else read.replace(tzinfo=UTC)
