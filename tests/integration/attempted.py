"""What tests read of the attempts that are recorded."""

from typing import NamedTuple
from uuid import UUID

from messaging.process.database import Pool


class Attempt(NamedTuple):
    """An attempt that didn't succeed, without its times."""

    ordinal: int
    generation: int
    number: int
    outcome: str
    error: str | None


_ATTEMPTS = """
SELECT ordinal, generation, number, outcome, error FROM attempts
WHERE event_id = %s AND subscription = %s ORDER BY ordinal
"""


def attempts(pool: Pool, event_id: UUID, subscription: str = "audit_log") -> list[Attempt]:
    with pool.connection() as connection:
        return [Attempt(*row) for row in connection.execute(_ATTEMPTS, (event_id, subscription))]
