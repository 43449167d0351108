"""How attempts ended that didn't succeed: the table `attempts`.

Invariant: an attempt is recorded by the statement that ends it, and only there. So a receipt that comes twice or late,
or a relay that dies, records nothing twice and nothing less. A delivery whose first attempt succeeds has no row.

The last ten of a delivery are kept: the eleventh takes the place of the first. `ordinal` counts them all, over every
generation, so the oldest that is kept tells how many are left out. They are deleted with their delivery.
"""

from typing import Literal, LiteralString

AttemptOutcome = Literal["retry", "failed", "uncertain", "crashed", "lost"]
"""How an attempt ended without success: its worker reported one of the first three, or died, or Redis lost its
message before an end was reported. (Only the last doesn't count as an attempt: the next has its number.)"""

COLUMNS: LiteralString = "generation, deliveries.attempts, queued_at, started_at, last_error"
"""What RECORD needs of a delivery that has just been moved, beside its key."""

RECORD: LiteralString = """
    INSERT INTO attempts (event_id, subscription, place, ordinal, generation, number, queued_at, started_at, ended_at,
        outcome, error)
    SELECT event_id, subscription, mod(ordinal, 10), ordinal, generation, attempts, queued_at, started_at, now(),
        outcome, last_error
    FROM ended CROSS JOIN LATERAL (
        SELECT coalesce(max(ordinal), 0) + 1 AS ordinal FROM attempts AS earlier
        WHERE earlier.event_id = ended.event_id AND earlier.subscription = ended.subscription
    ) AS next
    ON CONFLICT (event_id, subscription, place) DO UPDATE
    SET ordinal = excluded.ordinal, generation = excluded.generation, number = excluded.number,
        queued_at = excluded.queued_at, started_at = excluded.started_at, ended_at = excluded.ended_at,
        outcome = excluded.outcome, error = excluded.error
"""
"""Records the rows of `ended` (key, COLUMNS, outcome), a common table expression that precedes this."""

HISTORY: LiteralString = """LATERAL (
    SELECT coalesce(json_agg(json_build_object('generation', generation, 'number', number, 'queued_at', queued_at,
            'started_at', started_at, 'ended_at', ended_at, 'outcome', outcome, 'error', error) ORDER BY ordinal),
            '[]') AS history,
        coalesce(min(ordinal) - 1, 0) AS history_omitted
    FROM attempts
    WHERE attempts.event_id = deliveries.event_id AND attempts.subscription = deliveries.subscription
) AS recorded"""
"""Gives each delivery of a query its `history`, oldest attempt first, and how many older ones aren't kept."""
