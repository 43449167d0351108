"""How many deliveries were moved to which state, by minute and subscription: the table `delivery_counts`.

Invariant: a move is counted by the statement that makes it, and only there. So a receipt that comes twice or late, or a
relay that dies, counts nothing twice and nothing less.

Each thread of each relay counts in rows of its own (`counter`), so no two transactions wait for each other.
A row is a minute, a subscription, a state and a bucket of the lag: the seconds from when the delivery was first due
until it succeeded. Retries belong to that time. There is no lag (bucket 0) in any other state, nor once an operator has
retried or replayed the delivery.
"""

import os
import socket
import threading
from typing import LiteralString

BOUNDS: tuple[float, ...] = (0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30, 60, 300, 1800, 7200)
"""Upper bounds of the buckets 1 to 15, in seconds. What is slower is in bucket 16."""

_BOUNDS: LiteralString = "'{0.01,0.02,0.05,0.1,0.2,0.5,1,2,5,10,30,60,300,1800,7200}'::float8[]"

LAG: LiteralString = """CASE WHEN state = 'succeeded' AND generation = 0 AND first_due_at IS NOT NULL
    THEN extract(epoch FROM greatest(interval '0', finished_at - first_due_at))::float8 END"""
"""The lag of a delivery that has just been moved. (An older version's relay claimed it, if it has no first_due_at.)"""

COUNT: LiteralString = f"""
    INSERT INTO delivery_counts AS known (minute, subscription, counter, state, bucket, count, lag)
    SELECT date_trunc('minute', now()), subscription, %(counter)s, state,
        coalesce(1 + width_bucket(lag, {_BOUNDS}), 0) AS bucket, count(*), coalesce(sum(lag), 0)
    FROM moved
    WHERE state IN ('succeeded', 'failed', 'uncertain', 'retrying')
    GROUP BY subscription, state, bucket
    ORDER BY subscription, state, bucket
    ON CONFLICT (minute, subscription, counter, state, bucket)
    DO UPDATE SET count = known.count + excluded.count, lag = known.lag + excluded.lag
"""  # noqa: S608  # of literals
"""Counts the rows of `moved` (subscription, state, lag), a common table expression that precedes this."""

FORGET: LiteralString = """
-- Delete old counts. No page shows more than a week.
DELETE FROM delivery_counts WHERE ctid = ANY (ARRAY(
    SELECT ctid FROM delivery_counts
    WHERE minute < now() - least(%(retention)s, interval '7 days')
    LIMIT %(limit)s
))
"""


def counting() -> dict[str, str]:
    """Return the parameter of COUNT: which thread counts."""
    return {"counter": f"{socket.gethostname()}.{os.getpid()}.{threading.current_thread().name}"}
