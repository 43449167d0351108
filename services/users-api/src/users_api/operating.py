"""What operators search, request and look up: the functions behind `operating_routes`."""

import base64
from typing import Any, TypeVar
from uuid import UUID

from messaging.publishing import bulk, operations, searching
from messaging.publishing.filtering import Filter
from messaging.publishing.searching import NEWEST, OLDEST, ErrorGroups, Place, Reading, Total
from users_api.database import query
from users_api.delivery_filter import DeliveryFilter, shown
from users_api.operating_schemas import (
    DeliveryPage,
    EventDetails,
    Operation,
    OperationPage,
    Requested,
)
from users_api.pool import Pool
from users_api.queries import make_cursor

T = TypeVar("T")

_NONE = Total(count=0, exact=True)


async def read(pool: Pool, reading: Reading[T]) -> T:
    """Execute the statements of a reading, each by itself, and return its result."""
    try:
        statement, parameters = next(reading)
        while True:
            statement, parameters = reading.send(await query(pool, statement, parameters))
    except StopIteration as end:
        result: T = end.value
        return result


async def search(pool: Pool, wanted: DeliveryFilter, limit: int, after: Place = NEWEST) -> DeliveryPage:
    """Return one page of deliveries."""
    filter_ = await wanted.resolve(pool)
    if filter_ is None:
        return DeliveryPage(deliveries=[], total=_NONE, next=None, searched_to=None)
    found = await read(pool, searching.search(filter_, limit, after))
    cursor = found.next and _cursor(found.next)
    page = {"deliveries": found.rows, "total": found.total, "next": cursor, "searched_to": found.searched_to}
    return DeliveryPage.model_validate(page)


async def groups(pool: Pool, wanted: DeliveryFilter) -> ErrorGroups:
    """Return failures in groups."""
    filter_ = await wanted.resolve(pool)
    if filter_ is None:
        return ErrorGroups(groups=[], total=_NONE, since=None)
    return await read(pool, searching.groups(filter_))


async def event(pool: Pool, event_id: UUID) -> EventDetails | None:
    """Return an event with its deliveries; None, if there is none."""
    rows = await query(pool, operations.EVENT, {"event_id": event_id})
    if not rows:
        return None
    return EventDetails.model_validate(rows[0] | {"deliveries": [row for row in rows if row["event_id"]]})


async def request(pool: Pool, action: bulk.Action, meant: Filter, by: str | None, *, dry_run: bool) -> Requested:
    """Count what is eligible, and unless this is a dry run, record the operation. `meant`: by `bulk.meant`."""
    eligible = await read(pool, bulk.eligible(action, meant))
    requested = Requested(filter=shown(meant.model_dump()), eligible=eligible, operation=None)
    if not dry_run:
        [row] = await query(pool, bulk.REQUEST, bulk.requesting(action, meant, by, eligible))
        requested.operation = _operation(row)
    return requested


async def operation(pool: Pool, number: int) -> Operation | None:
    """Return an operation; None, if there is none."""
    rows = await query(pool, bulk.ONE, {"id": number})
    return _operation(rows[0]) if rows else None


async def recent(pool: Pool, limit: int, before: int) -> OperationPage:
    """Return up to `limit` operations with an id less than `before`, newest first."""
    rows = await query(pool, bulk.RECENT, {"before": before, "limit": limit + 1})
    cursor = make_cursor(rows[limit - 1]["id"]) if len(rows) > limit else None
    return OperationPage(operations=[_operation(row) for row in rows[:limit]], next=cursor)


async def stop(pool: Pool, number: int, by: str | None) -> tuple[str | None, bool]:
    """Cancel an operation for an operator.

    Return the state it was in, None if there is none, and whether it was cancelled.
    """
    rows = await query(pool, bulk.STOP, {"id": number, "by": by})
    return (rows[0]["state"], rows[0]["moved"]) if rows else (None, False)


def _operation(row: dict[str, Any]) -> Operation:
    eligible = {"count": row["eligible"], "exact": row["exact"]}
    return Operation.model_validate(row | {"filter": shown(row["filter"]), "eligible": eligible})


def _cursor(place: Place) -> str:
    return base64.urlsafe_b64encode(place.event_id.bytes + place.subscription.encode()).decode()


def read_place(cursor: str) -> Place | None:
    """Return the place that a cursor stands for; None, if it isn't one of ours."""
    try:
        decoded = base64.b64decode(cursor.encode("ascii"), altchars=b"-_", validate=True)
        place = Place(UUID(bytes=decoded[:16]), decoded[16:].decode())
    except ValueError:
        return None
    return None if "\0" in place.subscription or place < OLDEST else place
