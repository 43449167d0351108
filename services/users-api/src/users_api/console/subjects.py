"""Whom deliveries are about: the addresses of the users that a page shows."""

from collections.abc import Iterable
from typing import LiteralString

from users_api.database import query
from users_api.pool import Pool
from users_api.subjects import subject, user_of

_ADDRESSES: LiteralString = "SELECT id, email FROM users WHERE id = ANY (%(ids)s)"


async def addresses(pool: Pool, subjects: Iterable[str]) -> dict[str, str]:
    """Return the address of each user among subjects."""
    ids = {number for each in subjects if (number := user_of(each)) is not None and number < 2**63}
    rows = await query(pool, _ADDRESSES, {"ids": list(ids)}) if ids else []
    return {subject(row["id"]): row["email"] for row in rows}
