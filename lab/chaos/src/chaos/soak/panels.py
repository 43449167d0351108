"""Which series stand together in a picture."""

from collections.abc import Callable
from dataclasses import dataclass

from chaos.soak.kinds import RECORDS


@dataclass(frozen=True)
class Panel:
    """One small picture: the series whose names begin so, unless `but` says no."""

    title: str
    begins: tuple[str, ...]
    but: Callable[[str], bool] = lambda name: False
    rate: bool = False


def _is_record(name: str) -> bool:
    return name in RECORDS


PANELS = (
    Panel("Private memory, MiB", ("memory/",)),
    Panel("Redis: used memory, MiB", ("redis/",)),
    Panel("Rows of what is forgotten", ("rows/",), _is_record),
    Panel("Its tables with indexes, MiB", ("size/",), _is_record),
    Panel("Rows of records", ("rows/users", "rows/effects", "rows/audit_log")),
    Panel("Registered and mailed, each second", ("done/",), rate=True),
    Panel("Unfinished deliveries", ("deliveries/",)),
    Panel("In Redis: messages, receipts not applied", ("waiting/messages", "waiting/receipts")),
    Panel("Connections", ("connections/",)),
    Panel("Redis: keys and names", ("keys/",)),
    Panel("Open file descriptors", ("files/",)),
    Panel("Threads", ("threads/",)),
)
