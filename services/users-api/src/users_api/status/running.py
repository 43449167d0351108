"""What workers are doing: of each subscription, the deliveries that have been running for longest."""

from typing import LiteralString

from users_api.database import query
from users_api.pool import Pool
from users_api.status.backlog import BOUND
from users_api.status.schemas import Running

MOST = 3
"""The most deliveries of a subscription that are shown."""

_RUNNING: LiteralString = """
-- Among at most BOUND deliveries that are queued or running, by their index; their events by key.
SELECT subscription, event_id, subject, started_at FROM (
    SELECT subscription, event_id, started_at,
        row_number() OVER (PARTITION BY subscription ORDER BY started_at, event_id) AS place
    FROM (
        SELECT subscription, event_id, state, started_at FROM deliveries
        WHERE state IN ('queued', 'running') ORDER BY lease_until LIMIT %(bound)s
    ) AS leased
    WHERE state = 'running' AND started_at IS NOT NULL
) AS placed CROSS JOIN LATERAL (SELECT subject FROM events WHERE id = event_id OFFSET 0) AS event
WHERE place <= %(most)s
ORDER BY subscription, place
"""


async def longest_running(pool: Pool) -> dict[str, list[Running]]:
    """Return up to MOST deliveries of each subscription that has any, the one that began first in front."""
    found: dict[str, list[Running]] = {}
    for row in await query(pool, _RUNNING, {"bound": BOUND, "most": MOST}):
        found.setdefault(row.pop("subscription"), []).append(Running.model_validate(row))
    return found
