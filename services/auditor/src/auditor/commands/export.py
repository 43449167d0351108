"""`auditor export`."""

import sys
from contextlib import closing, nullcontext
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Literal

import typer

from auditor import export_files, exporting
from auditor.commands.session import database, end, progress_bar


def _time(text: str) -> datetime:
    try:
        time = datetime.fromisoformat(text)
    except ValueError:
        raise typer.BadParameter(f"{text!r} is not a time. Write it as 2026-11-23 or 2026-11-23T16:27:01Z.") from None
    return time if time.tzinfo else time.replace(tzinfo=UTC)


Time = Annotated[datetime | None, typer.Option(parser=_time, metavar="TIME")]


def export(
    style: Annotated[Literal["jsonl", "csv"], typer.Option("--format", help="JSON Lines, or CSV.")] = "jsonl",
    out: Annotated[Path | None, typer.Option(help="The file, instead of the standard output.")] = None,
    since: Time = None,
    until: Time = None,
    chain: Annotated[bool, typer.Option("--seals", help="Export the seals instead of the rows.")] = False,
) -> None:
    """Export the log: what happened from --since on, before --until. The file is complete, or isn't there.

    In CSV, a text that a spreadsheet would take for a formula gets a ' before it. JSON Lines are exact.
    """
    write = {"jsonl": export_files.write_jsonl, "csv": export_files.write_csv}[style]
    period = exporting.Period(since, until)
    try:
        with (
            database("export", 1) as connection,
            progress_bar("exporting", connection) as progress,
            export_files.whole_file(out) if out else nullcontext(sys.stdout) as file,
        ):
            if chain:
                fields, exported = exporting.SEAL_FIELDS, exporting.seals(connection, progress)
            else:
                fields, exported = exporting.ROW_FIELDS, exporting.rows(connection, period, progress)
            with closing(exported):
                write(file, fields, exported)
    except OSError as error:
        if isinstance(error, BrokenPipeError):
            raise
        end("export", f"{out or 'the standard output'}: {error.strerror}", 1)
