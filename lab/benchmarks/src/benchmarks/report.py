"""The report: one table and the machine, between two markers of a Markdown page, made from the summary alone."""

import re
from pathlib import Path
from typing import Any

from benchmarks.errors import BenchmarkError
from benchmarks.table import TABLES, cell

BASELINE = "dramatiq"
COLUMNS = {column.path: column for columns in TABLES.values() for column in columns}
SHOWN = {
    "POST/s": ["burst.posts"],
    "processed/s": ["burst.processed"],
    "CPU s/1,000": ["burst.cpu_services"],
    "memory MiB": ["burst.memory_services"],
    "mail lag ms": ["lag.steady.mail.p50", "lag.steady.mail.p99"],
    "audit lag ms": ["lag.steady.audit.p50", "lag.steady.audit.p99"],
    "idle CPU ms/s": ["idle.cpu_services", "idle.cpu_servers"],
    "lost, `kill -9`": ["kill.no_mail", "kill.no_audit"],
    "lost, `FLUSHALL`": ["flush.no_mail", "flush.no_audit"],
}
MARKED = re.compile(r"(<!-- bench -->\n).*?(<!-- /bench -->)", re.DOTALL)


def render(summary: dict[str, Any], page: Path) -> None:
    """Write the table between `<!-- bench -->` and `<!-- /bench -->`."""
    text = page.read_text()
    if not MARKED.search(text):
        raise BenchmarkError(f"{page} has no place for the table: add <!-- bench --> and <!-- /bench -->.")
    content = f"{_machine(summary)}\n\n{_table(summary['systems'])}"
    page.write_text(MARKED.sub(lambda found: f"{found[1]}{content}\n{found[2]}", text))


def _table(systems: dict[str, Any]) -> str:
    baseline = systems.get(BASELINE, {"figures": {}})["figures"]
    lines = [["", *SHOWN], ["---", *["--:"] * len(SHOWN)]]
    lines += [[each["title"], *(_cell(each, paths, baseline) for paths in SHOWN.values())] for each in systems.values()]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _cell(system: dict[str, Any], paths: list[str], baseline: dict[str, list[float]]) -> str:
    """Join the figures of a cell; one that is alone has its ratio to plain Dramatiq's of the same run."""
    texts = [text for path in paths if (text := cell(system, COLUMNS[path]))]
    if len(paths) == 1 and texts and (theirs := baseline.get(paths[0])):
        return f"{texts[0]} ({system['figures'][paths[0]][0] / theirs[0]:.2f} x)"
    return " / ".join(texts)


def _machine(summary: dict[str, Any]) -> str:
    plan, machine = summary["plan"], summary["machine"]
    versions = ", ".join(f"{name} {version}" for name, version in machine["versions"].items())
    return (
        f"{machine['when']}, commit {machine['commit']}: {plan['rounds']} rounds of {plan['registrations']:,} "
        f"registrations on {machine['cores']} cores ({machine['cpu']}), {machine['memory_gib']} GiB, "
        f"Linux {machine['kernel']}, Python {machine['python']}, PostgreSQL {machine['postgresql']}, "
        f"Redis {machine['redis']}. Alone, it syncs {machine['fsyncs']:,} writes of 8 KiB a second to disk, and builds "
        f"and sends {machine['plain_mails']} mails a second as the peers do. Versions: {versions}."
    )
