"""Where a search looks, and for what: a filter as conditions of SQL.

A search looks at rows in the order of their key, and at a bounded number of them (`window`), whatever the filter: a
rare delivery in a long history would take seconds to find otherwise. It looks at the narrowest of these:
- the deliveries of one subject,
- `deliveries_troubled`, an index of those that failed, are uncertain or retrying,
- unfinished deliveries, by their indexes, if these are few,
- those that failed or are uncertain since some time, by the index `deliveries_dead`, if these are few,
- all deliveries, by their primary key.
"""

from dataclasses import dataclass
from typing import Any, LiteralString

from messaging.publishing.error_groups import escape_like, has_details, matching
from messaging.publishing.filtering import Filter, id_at, made_before
from messaging.publishing.states import DEAD, DUE, FINAL, IN_FLIGHT, TROUBLED, UNFINISHED, DeliveryState

WINDOW = 50_000
"""The most rows that one statement looks at in the order of the table: about 1 us for each."""

INDEX_WINDOW = 25_000
"""The most that it looks at in `deliveries_troubled`. Where the table hasn't been vacuumed lately, each is on a page of
its own: about 4 us for each, otherwise 0.3."""

FEW_ROWS = 5_000
"""At most this number of unfinished deliveries is read by their indexes, and sorted. Of those that failed or are
uncertain, INDEX_WINDOW."""


COMPARED = 140_000_000
"""How many errors are compared with the pattern of a group, times the square of its length: half a second."""

LONGEST = 500
"""Characters of the longest error. Its group is longer only by the names of details, which cost nothing."""

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


def few(chosen: Filter) -> tuple[LiteralString, dict[str, Any]] | None:
    """Return a statement that says whether the deliveries of an index are so few that they can be sorted.

    None, if others can match as well, or there is a narrower place to look.
    """
    places, most = _indexed(chosen)
    if not places:
        return None
    statement = f"SELECT count(*) <= {most} AS few FROM ({_read(places, '', most)}) AS read"  # noqa: S608  # of literals
    return statement, _parameters(chosen)


def _indexed(chosen: Filter) -> tuple[list[LiteralString], int]:
    """Return which rows of indexes hold all that can match, and how many are few; none, if no index has all."""
    states = set(chosen.effective_states or ())
    if chosen.subject is not None or chosen.event is not None or not states:
        return [], 0
    if chosen.is_by_end and states.intersection(FINAL) <= set(DEAD):
        ended = " AND ".join(["state IN ('failed', 'uncertain')", *_ended(chosen)])
        return [f"{ended} ORDER BY finished_at DESC"], INDEX_WINDOW
    if states <= set(UNFINISHED) and not _is_troubled(chosen):
        return [half for held, half in _HALVES if set(held) & states], FEW_ROWS
    return [], 0


def _read(places: list[LiteralString], columns: LiteralString, most: int) -> LiteralString:
    """Return a query of what an index has at some places; one row more than `most` shows that there are more."""
    parts = (f"(SELECT {columns} FROM deliveries WHERE {place} LIMIT {most + 1})" for place in places)  # noqa: S608
    return " UNION ALL ".join(parts)  # of literals and a number


def look(chosen: Filter, *, are_few: bool = False) -> Look:
    """Return where to look for what a filter means. `are_few`: the answer to `few`."""
    troubled = _is_troubled(chosen)
    scope, window = _scope(chosen, troubled), INDEX_WINDOW if troubled else WINDOW
    if are_few:
        places, window = _indexed(chosen)
        first: LiteralString = f"own AS MATERIALIZED ({_read(places, COLUMNS, window)}), "
    elif chosen.subject is not None:
        first = _OWN
    else:
        first = ""
        scope += ["event_id < %(made_before)s"] if chosen.finished_until else []
    source = f"{'own' if first else 'deliveries'} WHERE {' AND '.join(scope)}"
    return Look(first, source, _wanted(chosen), _parameters(chosen), min(window, _comparable(chosen.group)))


def _comparable(group: str | None) -> int:
    """Return how many errors can be compared with a group: what that costs grows with the square of its length."""
    if group is None or not has_details(group):
        return WINDOW
    return COMPARED // min(len(group), LONGEST) ** 2


def _is_troubled(chosen: Filter) -> bool:
    """Return whether `deliveries_troubled` holds all that can match, and nothing else is narrower."""
    states = chosen.effective_states
    return chosen.subject is None and states is not None and set(states) <= set(TROUBLED)


def _scope(chosen: Filter, troubled: bool) -> list[LiteralString]:
    scope: list[LiteralString] = ["state IN ('failed', 'uncertain', 'retrying')"] if troubled else ["true"]
    scope += ["event_id = %(event)s"] if chosen.event else []
    scope += ["event_id >= %(first)s"] if chosen.since else []
    return scope + (["event_id < %(end)s"] if chosen.until else [])


def _ended(chosen: Filter) -> list[LiteralString]:
    ended: list[LiteralString] = ["finished_at >= %(finished_since)s"] if chosen.finished_since else []
    return ended + (["finished_at < %(finished_until)s"] if chosen.finished_until else [])


def _wanted(chosen: Filter) -> LiteralString:
    wanted: list[LiteralString] = ["subscription = ANY (%(subscriptions)s)"] if chosen.subscriptions else []
    wanted += ["state = ANY (%(states)s)"] if chosen.effective_states else []
    wanted += _ended(chosen)
    wanted += ["last_error ILIKE %(error)s"] if chosen.error else []
    if chosen.group is not None:
        wanted += ["coalesce(last_error, '') LIKE %(like)s"]
        wanted += ["coalesce(last_error, '') ~ %(regex)s"] if has_details(chosen.group) else []
    return " AND ".join(wanted or ["true"])


def _parameters(chosen: Filter) -> dict[str, Any]:
    patterns = matching(chosen.group or "")
    return {
        "subject": chosen.subject,
        "event": chosen.event,
        "first": chosen.since and id_at(chosen.since),
        "end": chosen.until and id_at(chosen.until),
        "finished_since": chosen.finished_since,
        "finished_until": chosen.finished_until,
        "made_before": chosen.finished_until and made_before(chosen.finished_until),
        "subscriptions": list(chosen.subscriptions or ()),
        "states": list(chosen.effective_states or ()),
        "error": f"%{escape_like(chosen.error or '')}%",
        "like": patterns.like,
        "regex": patterns.regex,
    }
