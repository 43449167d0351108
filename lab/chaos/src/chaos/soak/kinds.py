"""What is measured, in what unit, and by how much it may rise without having grown."""

from dataclasses import dataclass

MIB = 2**20


@dataclass(frozen=True)
class Kind:
    """One kind of series; a series' name is `<kind>/<of what>`.

    `slack`, `share`: a rise of up to the one, or of up to that share of the level, is noise. `since`: what begins anew
    when the process of that name starts ("*": any process; "self": the one the series is of; "": nothing does).
    """

    title: str
    unit: str
    slack: float
    share: float
    since: str = ""


KINDS = {
    "memory": Kind("private memory", "MiB", 1.5, 0.02, "self"),
    "files": Kind("open file descriptors", "", 2, 0, "self"),
    "threads": Kind("threads", "", 2, 0, "self"),
    "connections": Kind("connections to PostgreSQL", "", 2, 0, "*"),
    "redis": Kind("Redis' used memory", "MiB", 0.3, 0.02, "redis"),
    "keys": Kind("names and keys in Redis", "", 2, 0, "*"),
    "waiting": Kind("messages, receipts and unfinished deliveries", "", 30, 0.1, "*"),
    "rows": Kind("rows", "", 50, 0.05),
    "size": Kind("tables with their indexes", "MiB", 0.3, 0.05),
    "done": Kind("done so far", "", 0, 0),
    "deliveries": Kind("deliveries by state", "", 0, 0),
}

RECORDS = frozenset(f"{kind}/{table}" for kind in ("rows", "size") for table in ("users", "effects", "audit_log"))
"""They grow by design: one row for each registration."""

SHOWN_ONLY = frozenset({"done", "deliveries"})
"""Kinds that are only plotted; they are judged under another name."""


def kind_of(name: str) -> Kind:
    """Return what kind a series is of."""
    return KINDS[name.partition("/")[0]]
