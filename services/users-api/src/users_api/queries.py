"""What the API reads, and what operators may do with deliveries."""

from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable
from typing import Any, LiteralString
from uuid import UUID

from messaging.publishing import confirming, operations
from users_api import PUBLISHER
from users_api.database import query
from users_api.fields import email_key
from users_api.pool import Pool
from users_api.problems import Problem
from users_api.schemas import Deliveries, User, UserPage
from users_api.subjects import USER

_PAGE: LiteralString = """
-- One row more than the page holds, to know whether there is a next page.
SELECT id, email, full_name, created_at FROM users WHERE id > %(after)s ORDER BY id LIMIT %(limit)s + 1
"""

_WITH_ADDRESS: LiteralString = """
SELECT id, email, full_name, created_at FROM users WHERE email_key = %(key)s AND id > %(after)s
"""


async def user(pool: Pool, user_id: int) -> User | None:
    """Return a user, or None."""
    rows = await query(pool, USER, {"id": user_id})
    return User.model_validate(rows[0]) if rows else None


async def page(pool: Pool, after: int, limit: int, email: str | None = None) -> UserPage:
    """Return up to `limit` users with an id greater than `after`; only the one with the address, if there is one."""
    statement = _PAGE if email is None else _WITH_ADDRESS
    rows = await query(pool, statement, {"after": after, "limit": limit, "key": email and email_key(email)})
    more = make_cursor(rows[limit - 1]["id"]) if len(rows) > limit else None
    return UserPage.model_validate({"users": rows[:limit], "next": more})


async def deliveries_about(pool: Pool, subject: str) -> Deliveries:
    """Return every delivery of every event about a subject."""
    rows = await query(pool, operations.OF_SUBJECT, {"subject": subject})
    return Deliveries.model_validate({"deliveries": rows})


async def retry(pool: Pool, event_id: UUID, subscription: str, by: str | None) -> None:
    """Make a dead letter due again.

    Raises:
        Problem: there is no such delivery (404), or it isn't in a state for that (409). So do `cancel` and `confirm`.
    """
    rows = await query(pool, operations.RETRY_BY_OPERATOR, operations.retrying(event_id, subscription, by))
    _require_moved(rows, event_id, subscription, lambda state: operations.not_retried(subscription, state))


async def cancel(pool: Pool, event_id: UUID, subscription: str, by: str | None) -> None:
    """Cancel a delivery."""
    rows = await query(pool, operations.CANCEL, operations.cancelling(event_id, subscription, by))
    _require_moved(rows, event_id, subscription, operations.not_cancelled)


async def confirm(pool: Pool, event_id: UUID, subscription: str, by: str | None) -> None:
    """Confirm an uncertain effect: it has happened."""
    parameters = confirming.confirming([(event_id, subscription)], source=PUBLISHER, by=by)
    rows = await query(pool, confirming.CONFIRM, parameters)
    _require_moved(rows, event_id, subscription, confirming.not_confirmed)


def _require_moved(
    rows: list[dict[str, Any]], event_id: UUID, subscription: str, refusal: Callable[[str], str]
) -> None:
    if not rows:
        raise Problem(404, f"There is no delivery of event {event_id} to {subscription}.")
    if not rows[0]["moved"]:
        raise Problem(409, refusal(rows[0]["state"]))


def read_cursor(cursor: str) -> int | None:
    """Return the id that a cursor stands for; None, if it isn't one of ours."""
    try:
        after = int(urlsafe_b64decode(cursor.encode("ascii")).decode("ascii"))
    except ValueError:
        return None
    return after if 0 <= after < 2**63 else None


def make_cursor(after: int) -> str:
    """Return the cursor of an id."""
    return urlsafe_b64encode(str(after).encode()).decode()
