"""Where a search looks, and for what: a filter as conditions of SQL.

A search looks at rows in the order of their key, and at a bounded number of them (`window`), whatever the filter: a
rare delivery in a long history would take seconds to find otherwise. It looks at the narrowest of these:
- the deliveries of one subject,
- `deliveries_troubled`, an index of those that failed, are uncertain or retrying,
- unfinished deliveries, by their indexes, if these are few,
- all deliveries, by their primary key.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, LiteralString

from messaging.publishing.error_groups import escape_like, matching
from messaging.publishing.filtering import Filter, id_at
from messaging.publishing.states import DUE, IN_FLIGHT, TROUBLED, UNFINISHED, DeliveryState

WINDOW = 50_000
"""The most rows that one statement looks at in the order of the table: about 1 us for each."""

INDEX_WINDOW = 25_000
"""The most that it looks at in `deliveries_troubled`. Where the table hasn't been vacuumed lately, each is on a page of
its own: about 4 us for each, otherwise 0.3."""

FEW_ROWS = 5_000
"""At most this number of unfinished deliveries is read by their indexes, and sorted."""

COLUMNS: LiteralString = "event_id, subscription, state, last_error, started_at, finished_at"
"""What conditions may be about; `deliveries_troubled` has no other."""

_OWN: LiteralString = f"""own AS MATERIALIZED (
    SELECT delivery.* FROM events CROSS JOIN LATERAL (
        SELECT {COLUMNS} FROM deliveries WHERE event_id = events.id OFFSET 0
    ) AS delivery
    WHERE subject = %(subject)s
), """  # noqa: S608  # of literals

_HALVES: tuple[tuple[tuple[DeliveryState, ...], LiteralString], ...] = (
    (DUE, "state IN ('pending', 'retrying')"),
    (IN_FLIGHT, "state IN ('queued', 'running')"),
)
"""Unfinished deliveries, as their two indexes have them."""


@dataclass(frozen=True, slots=True)
class Look:
    """Where to look and for what.

    `first`: common table expressions for a WITH clause, each with a comma after it. `source`: a table and a condition.
    `wanted`: a condition on a row of the source. `parameters`: of all these. `window`: the most rows to look at.
    """

    first: LiteralString
    source: LiteralString
    wanted: LiteralString
    parameters: dict[str, Any]
    window: int


def few(chosen: Filter) -> LiteralString | None:
    """Return a statement that says whether unfinished deliveries are so few that they can be sorted.

    None, if others can match as well, or there is a narrower place to look.
    """
    states = chosen.effective_states
    if chosen.subject is not None or _is_troubled(chosen) or states is None or not set(states) <= set(UNFINISHED):
        return None
    halves = " UNION ALL ".join(
        f"(SELECT FROM deliveries WHERE {half} LIMIT {FEW_ROWS + 1})"  # of literals and a number
        for half in _halves(states)
    )
    return f"SELECT count(*) <= {FEW_ROWS} AS few FROM ({halves}) AS unfinished"  # noqa: S608  # of literals


def _halves(states: Sequence[DeliveryState]) -> list[LiteralString]:
    return [half for held, half in _HALVES if set(held) & set(states)]


def _unfinished(chosen: Filter) -> LiteralString:
    halves = " UNION ALL ".join(
        f"SELECT {COLUMNS} FROM deliveries WHERE {half}"  # noqa: S608  # of literals
        for half in _halves(chosen.effective_states or ())
    )
    return f"own AS MATERIALIZED ({halves}), "


def look(chosen: Filter, *, are_few: bool = False) -> Look:
    """Return where to look for what a filter means. `are_few`: the answer to `few`."""
    troubled, subject = _is_troubled(chosen), chosen.subject is not None
    first: LiteralString = _OWN if subject else _unfinished(chosen) if are_few else ""
    table: LiteralString = "own" if first else "deliveries"
    return Look(
        first,
        f"{table} WHERE {_scope(chosen, troubled)}",
        _wanted(chosen),
        _parameters(chosen),
        INDEX_WINDOW if troubled else WINDOW,
    )


def _is_troubled(chosen: Filter) -> bool:
    """Return whether `deliveries_troubled` holds all that can match, and nothing else is narrower."""
    states = chosen.effective_states
    return chosen.subject is None and states is not None and set(states) <= set(TROUBLED)


def _scope(chosen: Filter, troubled: bool) -> LiteralString:
    scope: list[LiteralString] = ["state IN ('failed', 'uncertain', 'retrying')"] if troubled else ["true"]
    scope += ["event_id = %(event)s"] if chosen.event else []
    scope += ["event_id >= %(first)s"] if chosen.since else []
    scope += ["event_id < %(end)s"] if chosen.until else []
    return " AND ".join(scope)


def _wanted(chosen: Filter) -> LiteralString:
    wanted: list[LiteralString] = ["subscription = ANY (%(subscriptions)s)"] if chosen.subscriptions else []
    wanted += ["state = ANY (%(states)s)"] if chosen.effective_states else []
    wanted += ["last_error ILIKE %(error)s"] if chosen.error else []
    if chosen.group is not None:
        wanted += ["coalesce(last_error, '') LIKE %(like)s", "coalesce(last_error, '') ~ %(regex)s"]
    return " AND ".join(wanted or ["true"])


def _parameters(chosen: Filter) -> dict[str, Any]:
    patterns = matching(chosen.group or "")
    return {
        "subject": chosen.subject,
        "event": chosen.event,
        "first": chosen.since and id_at(chosen.since),
        "end": chosen.until and id_at(chosen.until),
        "subscriptions": list(chosen.subscriptions or ()),
        "states": list(chosen.effective_states or ()),
        "error": f"%{escape_like(chosen.error or '')}%",
        "like": patterns.like,
        "regex": patterns.regex,
    }
