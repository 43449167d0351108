"""The result of a soak: a table, a picture, and every sample as JSON."""

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from rich.console import Console
from rich.table import Table
from rich.text import Text

from chaos.soak.judgement import GROWS, RECORD, RULE, Verdict
from chaos.soak.kinds import kind_of
from chaos.soak.run import Outcome

STYLES = {GROWS: "bold red", RECORD: "dim"}


def keep(outcome: Outcome, directory: Path) -> tuple[Path, Path]:
    """Write picture and samples to a directory, and return where they are."""
    from chaos.soak.plot import plot  # imports matplotlib, which only this needs

    directory.mkdir(parents=True, exist_ok=True)
    picture, samples = directory / "soak.png", directory / "samples.json"
    samples.write_text(json.dumps(_everything(outcome)))
    plot(outcome, picture)
    return picture, samples


def _everything(outcome: Outcome) -> dict[str, object]:
    recording = outcome.recording
    return {
        "plan": asdict(outcome.plan),
        "wrong": outcome.wrong,
        "verdicts": [asdict(each) for each in outcome.verdicts or ()],
        "faults": [asdict(mark) for mark in recording.marks],
        "started": recording.starts,
        "series": recording.series,
    }


def show(outcome: Outcome, console: Console) -> None:
    """Print the table and the ledger."""
    console = console if console.is_terminal else Console(width=140, highlight=False)
    if outcome.verdicts:
        console.print(_table(outcome.verdicts, f"Soak, seed {outcome.plan.seed}"))
        console.print(RULE)
    if ledger := outcome.ledger:
        console.print(
            f"{len(outcome.recording.marks)} faults; {ledger.answered:,} registered, {ledger.users:,} users, "
            f"{ledger.mails:,} mails, {ledger.audits:,} audit rows; lost: {ledger.lost_mails} mails, "
            f"{ledger.lost_audits} rows; twice: {ledger.duplicate_mails} mails (up to {outcome.in_flight} may be), "
            f"{ledger.duplicate_audits} rows; stuck: {ledger.stuck}"
        )


def _table(verdicts: Sequence[Verdict], title: str) -> Table:
    table = Table("series", title=title, title_justify="left")
    for head in ("at a quarter", "at the end", "floors of the thirds"):
        table.add_column(head, justify="right")
    table.add_column("verdict")
    for each in verdicts:
        unit = kind_of(each.name).unit
        series = f"{each.name}, {unit}" if unit else each.name
        floors = " → ".join(map(_figure, each.floors)) if each.verdict != RECORD else ""
        cells = (series, _figure(each.quarter), _figure(each.end), floors, each.verdict)
        table.add_row(*map(Text, cells), style=STYLES.get(each.verdict, ""))
    return table


def _figure(value: float) -> str:
    return f"{value:,.0f}" if value == int(value) else f"{value:,.1f}"
