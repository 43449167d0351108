"""A moment, as an operator writes it."""

import re
from datetime import UTC, datetime, time, timedelta

import typer

HELP = (
    "Events recorded from then on, in ISO 8601: 2026-11-23, 2026-11-23T16:27:01Z, 2026-11-23T16:27:01+01:00, or 16:27"
    " for today. UTC, unless it names another offset. Or how long ago: 90s, 10m, 2h, 3d."
)

_AGO = re.compile(r"([0-9]{1,6})([SMHD])")
_UNITS = {"S": "seconds", "M": "minutes", "H": "hours", "D": "days"}


def read_time(text: str) -> datetime:
    """Read a moment in the past.

    Raises:
        typer.BadParameter: it is not a time, or in the future.
    """
    now = datetime.now(UTC)
    read = read_moment(text)
    if read > now:
        raise typer.BadParameter(f"{read.isoformat()} is in the future: no event can match. It is {now.isoformat()}.")
    return read


def read_moment(text: str) -> datetime:
    """Read any moment.

    Raises:
        typer.BadParameter: it is not a time.
    """
    now = datetime.now(UTC)
    try:
        return _parse_time(text.strip().upper(), now)
    except (ValueError, OverflowError):
        whole = now.isoformat(timespec="seconds")
        raise typer.BadParameter(f"{text!r} is not a time. Write it as 10m, 12:00 or {whole}.") from None


def _parse_time(text: str, now: datetime) -> datetime:
    if ago := _AGO.fullmatch(text):
        return now - timedelta(**{_UNITS[ago[2]]: int(ago[1])})
    if text[2:3] == ":":
        hour = time.fromisoformat(text)
        zone = hour.tzinfo or UTC
        return datetime.combine(now.astimezone(zone).date(), hour, zone)
    read = datetime.fromisoformat(text)
    return read if read.tzinfo else read.replace(tzinfo=UTC)
