"""The ledger as people see it: while it is made, as a table, and as Markdown."""

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from rich.console import Console
from rich.table import Table
from rich.text import Text

from chaos.fault import Fault, Progress
from chaos.ledger import Ledger
from chaos.without import Guard

HEAD = (
    "#",
    "fault",
    "201",
    "lost mails",
    "lost rows",
    "mails twice",
    "rows twice",
    "stuck",
    "recovered",
    "further",
    "",
)
QUIET = 15.0
"""Seconds between two lines of progress where there is no terminal."""


@dataclass(frozen=True)
class Row:
    """A trial that is over, or the reason why there was none.

    `seconds`: how long it took. `without`: the guard that was missing.
    """

    fault: Fault
    ledger: Ledger | None
    reason: str = ""
    seconds: float = 0.0
    without: str = ""

    @property
    def title(self) -> str:
        """Say what was tried."""
        return f"{self.fault.number} {self.fault.title}{f', without {self.without}' if self.without else ''}"

    @property
    def verdict(self) -> str:
        """Return the outcome in one word."""
        if self.ledger is None:
            return "not tried"
        return "green" if self.ledger.green else "RED"

    def cells(self) -> list[str]:
        """Return what stands below HEAD."""
        if self.ledger is None:
            return [str(self.fault.number), self.fault.title, *[""] * 7, self.reason, self.verdict]
        ledger = self.ledger
        recovered = "" if ledger.recovered is None else f"{ledger.recovered:.1f} s"
        counts = (ledger.lost_mails, ledger.lost_audits, ledger.duplicate_mails, ledger.duplicate_audits, ledger.stuck)
        further = "; ".join(filter(None, [*ledger.wrong, ledger.figure]))
        answered = f"{ledger.answered:,}"
        return [str(self.fault.number), self.fault.title, answered, *map(str, counts), recovered, further, self.verdict]


@dataclass(frozen=True)
class Proof:
    """A guard, the row with it, and the row without it."""

    guard: Guard
    guarded: Row
    unguarded: Row

    @property
    def proven(self) -> bool:
        """Whether the guard made the difference."""
        wrong = self.unguarded.ledger.wrong if self.unguarded.ledger else []
        return self.guarded.verdict == "green" and any(self.guard.because in each for each in wrong)


class Reporter:
    """Shows progress: in place on a terminal, line by line elsewhere."""

    def __init__(self) -> None:
        self.console = Console(highlight=False)

    @contextmanager
    def progress(self, about: str) -> Iterator[Progress]:
        """Show progress about something until it is over."""
        if not self.console.is_terminal:
            self.console.print(f"{about} ...")
            yield self._now_and_then()
            return
        with self.console.status(about) as status:
            yield lambda news: status.update(f"{about}: {news}")

    def row(self, row: Row) -> None:
        """Show how a trial ended."""
        colour = {"green": "green", "RED": "bold red"}.get(row.verdict, "yellow")
        if row.without and row.verdict == "RED":
            colour = "green"
        must = ", as it must be" if row.without and row.verdict == "RED" else ""
        line = Text(f"{row.title}: ").append(row.verdict + must, colour).append(f" ({row.seconds:.0f} s) ")
        line.append(row.cells()[-2])
        self.console.print(line, soft_wrap=True)

    def table(self, rows: Sequence[Row], title: str) -> None:
        """Print the ledger."""
        table = Table(*HEAD, title=title, title_justify="left")
        for row in rows:
            style = "bold red" if row.verdict == "RED" else ""
            table.add_row(*(Text(cell) for cell in row.cells()), style=style)
        self._wide().print(table)

    def proofs(self, proofs: Sequence[Proof], title: str) -> None:
        """Print which guards are proven."""
        table = Table("guard", "row", "with it", "without it", "", title=title, title_justify="left")
        for proof in proofs:
            without = f"{proof.unguarded.verdict}: {proof.unguarded.cells()[-2]}"
            row = f"{proof.guarded.fault.number} {proof.guarded.fault.title}"
            table.add_row(
                f"{proof.guard.name}: {proof.guard.meaning}",
                row,
                proof.guarded.verdict,
                Text(without),
                "proven" if proof.proven else "NOT PROVEN",
            )
        self._wide().print(table)

    def _wide(self) -> Console:
        return self.console if self.console.is_terminal else Console(width=200, highlight=False)

    def _now_and_then(self) -> Progress:
        said = time.monotonic()

        def progress(news: str) -> None:
            nonlocal said
            if time.monotonic() - said > QUIET:
                said = time.monotonic()
                self.console.print(f"   {news}")

        return progress


def markdown(rows: Sequence[Row]) -> str:
    """Return the ledger as a Markdown table."""
    lines = [HEAD, tuple("---" for _ in HEAD), *(row.cells() for row in rows)]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines) + "\n"
