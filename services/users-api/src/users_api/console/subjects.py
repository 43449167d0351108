"""Whom deliveries are about: the addresses of the users that a page shows."""

from collections.abc import Iterable
from typing import LiteralString

from users_api.database import query
from users_api.pool import Pool

_ADDRESSES: LiteralString = "SELECT id, email FROM users WHERE id = ANY (%(ids)s)"


def user_of(subject: str) -> int | None:
    """Return the user's id in a subject such as users/7; None, if it is about something else."""
    kind, _, number = subject.partition("/")
    return int(number) if kind == "users" and number.isdecimal() and number.isascii() else None


async def addresses(pool: Pool, subjects: Iterable[str]) -> dict[str, str]:
    """Return the address of each user among subjects."""
    ids = {number for subject in subjects if (number := user_of(subject)) is not None and number < 2**63}
    rows = await query(pool, _ADDRESSES, {"ids": list(ids)}) if ids else []
    return {f"users/{row['id']}": row["email"] for row in rows}
