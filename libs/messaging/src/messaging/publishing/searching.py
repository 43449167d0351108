"""What operators search: deliveries by a filter, newest event first, and their errors in groups.

Every statement looks at a bounded number of rows, and returns how far it came. Functions here are generators: they
yield a statement with its parameters and are sent its rows, so that the API can run them asynchronously and a command
synchronously (`users_api.execute.run`).
"""

from collections.abc import Generator, Sequence
from datetime import datetime
from typing import Any, LiteralString, NamedTuple, TypeVar
from uuid import UUID

from pydantic import BaseModel

from messaging.publishing.error_groups import group_of
from messaging.publishing.filtering import Filter, time_of
from messaging.publishing.looking import COLUMNS, Look, few, look
from messaging.publishing.operations import DELIVERY
from messaging.publishing.states import DeliveryState

Rows = Sequence[dict[str, Any]]
Statement = tuple[LiteralString, dict[str, Any]]
T = TypeVar("T")
Reading = Generator[Statement, Rows, T]

GROUPED = 20_000
"""The most deliveries that one search for groups looks at."""

MOST_TEXTS = 1_000
"""The most different errors that it reads."""

COUNTED = 2
"""How many windows are looked at to count what an operation would move."""


class Place(NamedTuple):
    """The key of a delivery. `subscription`: an empty one is before all deliveries of the event."""

    event_id: UUID
    subscription: str


NEWEST, OLDEST = Place(UUID(int=2**128 - 1), ""), Place(UUID(int=0), "")


class Total(BaseModel):
    """How many. If it isn't `exact`, there are at least as many."""

    count: int
    exact: bool


class Found(BaseModel):
    """One page. `total`: with the first one. `next`: where the next one begins; None at the end.

    `searched_to`: if the page isn't full and there is a next one, the event time up to which this one has looked.
    """

    rows: list[dict[str, Any]]
    total: Total | None
    next: Place | None
    searched_to: datetime | None


class ErrorGroup(BaseModel):
    """Deliveries of one subscription whose errors differ in numbers, ids, addresses, hosts or quoted texts alone.

    `group` is a filter of other requests. `states`: how many are in which. `example`: the error of the newest one, that
    of `event_id`. `first_seen`, `last_seen`: when their last attempts ended, or began, while another is to follow.
    """

    subscription: str
    group: str
    count: int
    states: dict[DeliveryState, int]
    first_seen: datetime | None
    last_seen: datetime | None
    example: str | None
    event_id: UUID


class ErrorGroups(BaseModel):
    """Groups, largest first.

    `since`: a search looks at a bounded number of deliveries. If there are more, the groups hold the failures of all
    events made since this time. Otherwise null.
    """

    groups: list[ErrorGroup]
    total: Total
    since: datetime | None


def keys(where: Look, limit: int, *, ascending: bool = False, also: LiteralString = "true") -> LiteralString:
    """Return the common table expressions `found`, up to `limit` keys of matching deliveries after a place, and `last`.

    `last` has the last key that was looked at, if the window ended before enough was found; otherwise no row.
    """
    compare, order = (">", "ASC") if ascending else ("<", "DESC")
    ordered = f"ORDER BY event_id {order}, subscription {order}"
    source = f"{where.source} AND (event_id, subscription) {compare} (%(after_event)s, %(after_subscription)s)"
    return f"""{where.first}found AS MATERIALIZED (
    SELECT event_id, subscription FROM (SELECT {COLUMNS} FROM {source} {ordered} LIMIT {where.window}) AS looked
    WHERE {where.wanted} AND {also}
    {ordered} LIMIT {limit}
), last AS (
    SELECT event_id, subscription FROM {source} AND (SELECT count(*) FROM found) < {limit}
    {ordered} OFFSET {where.window - 1} LIMIT 1
)"""  # noqa: S608  # of literals and numbers


_SHOWN: LiteralString = f"""
-- Read what is shown by its keys: each by itself, whatever the planner thinks of the tables' sizes.
SELECT last.event_id AS last_event, last.subscription AS last_subscription, looked, matched, delivery.*
FROM counted LEFT JOIN last ON true LEFT JOIN (
    SELECT shown.* FROM found CROSS JOIN LATERAL (
        SELECT {DELIVERY}, subject
        FROM deliveries JOIN events ON events.id = event_id
        WHERE event_id = found.event_id AND subscription = found.subscription
        OFFSET 0
    ) AS shown
) AS delivery ON true
ORDER BY event_id DESC, subscription DESC
"""  # noqa: S608  # of literals


def _first_page(where: Look, limit: int) -> LiteralString:
    """Return a statement that looks at the newest rows once, to show some and to count all."""
    newest: LiteralString = "ORDER BY event_id DESC, subscription DESC"
    return f"""WITH {where.first}looked AS MATERIALIZED (
            SELECT {COLUMNS} FROM {where.source} {newest} LIMIT {where.window + 1}
        ), counted AS (
            SELECT count(*) AS looked, count(*) FILTER (WHERE {where.wanted}) AS matched FROM looked
        ), found AS MATERIALIZED (
            SELECT event_id, subscription FROM looked WHERE {where.wanted} {newest} LIMIT {limit}
        ), last AS (
            SELECT event_id, subscription FROM looked WHERE (SELECT count(*) FROM found) < {limit}
            {newest} OFFSET {where.window} LIMIT 1
        ) {_SHOWN}"""  # noqa: S608  # of literals and numbers


def search(chosen: Filter, limit: int, after: Place = NEWEST) -> Reading[Found]:
    """Return one page of deliveries, newest event first; with the first page, how many there are."""
    where = yield from _look(chosen)
    if after == NEWEST:
        rows = yield _first_page(where, limit + 1), where.parameters
        total = Total(count=rows[0]["matched"], exact=rows[0]["looked"] <= where.window)
    else:
        statement = f"WITH {keys(where, limit + 1)}, counted AS (SELECT NULL AS looked, NULL AS matched) {_SHOWN}"
        place = {"after_event": after.event_id, "after_subscription": after.subscription}
        rows = yield statement, where.parameters | place
        total = None
    found = [_without(row, "last_event", "last_subscription", "looked", "matched") for row in rows if row["event_id"]]
    return _page(
        found, limit, total, rows[0]["last_event"] and Place(rows[0]["last_event"], rows[0]["last_subscription"])
    )


def _without(row: dict[str, Any], *names: str) -> dict[str, Any]:
    return {name: value for name, value in row.items() if name not in names}


def _page(found: Rows, limit: int, total: Total | None, last: Place | None) -> Found:
    """Make a page. `found`: one row more than it holds, if there is one. `last`: where the search stopped earlier."""
    shown = list(found[:limit])
    more = Place(shown[-1]["event_id"], shown[-1]["subscription"]) if len(found) > limit else last
    return Found(rows=shown, total=total, next=more, searched_to=last and time_of(last.event_id))


def count(chosen: Filter, also: LiteralString = "true", **more: Any) -> Reading[Total]:
    """Count deliveries that match, and for which another condition holds, whose parameters are `more`."""
    where = yield from _look(chosen)
    window = COUNTED * where.window
    statement = f"""
        -- Count those that match among the newest rows, and look at one more to know whether these are all.
        WITH {where.first}looked AS (
            SELECT {COLUMNS} FROM {where.source}
            ORDER BY event_id DESC, subscription DESC LIMIT {window + 1}
        )
        SELECT count(*) AS looked, count(*) FILTER (WHERE {where.wanted} AND {also}) AS matched FROM looked
        """  # noqa: S608  # of literals and numbers
    [row] = yield statement, where.parameters | more
    return Total(count=row["matched"], exact=row["looked"] <= window)


def _look(chosen: Filter) -> Reading[Look]:
    question = few(chosen)
    if question is None:
        return look(chosen)
    [row] = yield question
    return look(chosen, are_few=row["few"])


def groups(chosen: Filter) -> Reading[ErrorGroups]:
    """Return the deliveries that failed, are uncertain or retrying, in groups.

    With a time of the end, those that are retrying aren't meant.
    """
    where = yield from _look(chosen.model_copy(update={"states": chosen.troubled_states}))
    most = min(GROUPED, where.window)
    statement = f"""
        -- Count equal errors among the newest rows. The newest errors are returned, with what was looked at.
        WITH {where.first}looked AS MATERIALIZED (
            SELECT {COLUMNS} FROM {where.source}
            ORDER BY event_id DESC, subscription DESC LIMIT {most + 1}
        ), texts AS MATERIALIZED (
            SELECT subscription, last_error, state, count(*) AS count, max(event_id::text) AS event_id,
                min(coalesce(finished_at, started_at)) AS first_seen,
                max(coalesce(finished_at, started_at)) AS last_seen
            FROM looked WHERE {where.wanted} GROUP BY subscription, last_error, state
        )
        SELECT extent.*, newest.*
        FROM (SELECT count(*) AS looked, min(event_id::text) AS oldest FROM looked) AS extent
            LEFT JOIN (SELECT * FROM texts ORDER BY event_id DESC LIMIT {MOST_TEXTS}) AS newest ON true
        """  # noqa: S608  # of literals and numbers
    rows = yield statement, where.parameters
    return _grouped(rows, most)


def _grouped(rows: Rows, most: int) -> ErrorGroups:
    """Merge errors into groups. `most`: how many deliveries were looked at, if there are more.

    The rows are newest first: an error that is left out is older than all of them.
    """
    merged: dict[tuple[str, str], ErrorGroup] = {}
    for row in rows:
        if row["subscription"] is not None:
            _add(merged, row)
    cut = len(rows) == MOST_TEXTS
    complete = rows[0]["looked"] <= most and not cut
    oldest = rows[-1]["event_id"] if cut else rows[0]["oldest"]
    ordered = sorted(merged.values(), key=lambda group: (-group.count, group.subscription, group.group))
    total = Total(count=sum(group.count for group in ordered), exact=complete)
    return ErrorGroups(groups=ordered, total=total, since=None if complete else time_of(UUID(oldest)))


def _add(merged: dict[tuple[str, str], ErrorGroup], row: dict[str, Any]) -> None:
    group = group_of(row["last_error"])
    held = merged.get((row["subscription"], group))
    if held is None:
        values = {name: row[name] for name in ("subscription", "count", "first_seen", "last_seen", "event_id")}
        states = {row["state"]: row["count"]}
        merged[row["subscription"], group] = ErrorGroup(group=group, states=states, example=row["last_error"], **values)
        return
    held.count += row["count"]
    held.states[row["state"]] = held.states.get(row["state"], 0) + row["count"]
    held.first_seen = min(filter(None, (held.first_seen, row["first_seen"])), default=None)
    held.last_seen = max(filter(None, (held.last_seen, row["last_seen"])), default=None)
