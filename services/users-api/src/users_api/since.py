"""A moment as an option of a command has it (`moments`), and what is said of one that can't be read."""

from datetime import UTC, datetime

import typer

from users_api import moments

HELP = (
    "Events recorded from then on, in ISO 8601: 2026-11-23, 2026-11-23T16:27:01Z, 2026-11-23T16:27:01+01:00, or 16:27"
    " for today. UTC, unless it names another offset. Or how long ago: 90s, 10m, 2h, 3d."
)


def read_time(text: str) -> datetime:
    """Read a moment in the past.

    Raises:
        typer.BadParameter: it is not a time, or in the future.
    """
    read = read_moment(text)
    now = datetime.now(UTC)
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
        return moments.read_moment(text, now)
    except ValueError:
        whole = now.isoformat(timespec="seconds")
        raise typer.BadParameter(f"{text!r} is not a time. Write it as 10m, 12:00 or {whole}.") from None
