"""Failures in a long history, as the pages of the console would show them: made by SQL, on deliveries that exist."""

from typing import LiteralString

import psycopg

from contracts import SUBSCRIPTIONS

_LOT: LiteralString = "abs(hashtextextended(event_id::text || subscription, 0))"

_FAIL: LiteralString = f"""
-- Of 200 deliveries one failed, of 30,000 one is uncertain, of 40,000 one is retrying, and due tomorrow.
UPDATE deliveries SET attempts = 5,
    state = CASE WHEN {_LOT} % 200 = 0 THEN 'failed' WHEN {_LOT} % 30000 = 1 THEN 'uncertain' ELSE 'retrying' END,
    due_at = CASE WHEN {_LOT} % 40000 = 2 THEN now() + interval '1 day' END,
    finished_at = CASE WHEN {_LOT} % 40000 <> 2 THEN finished_at END
WHERE state = 'succeeded' AND ({_LOT} % 200 = 0 OR {_LOT} % 30000 = 1 OR {_LOT} % 40000 = 2)
"""  # noqa: S608  # of literals

_NAME: LiteralString = """
-- Give each failure one of a number of errors. They differ in letters alone, so each is a group of its own.
UPDATE deliveries SET last_error = '550 5.7.1 refused by policy '
    || translate(left(md5((abs(hashtext(event_id::text)) %% %(errors)s)::text), 8), '0123456789', 'ghijklmnop')
WHERE state IN ('failed', 'uncertain', 'retrying')
"""

_COUNT: LiteralString = """
-- Count a busy week, as two threads of a relay do.
INSERT INTO delivery_counts (minute, subscription, counter, state, bucket, count, lag)
SELECT minute, subscription, 'bench.' || thread, state, bucket, 20, 0.4
FROM generate_series(date_trunc('minute', now()) - interval '7 days', now(), '1 minute') AS minute,
    unnest(%(names)s::text[]) AS subscription, generate_series(1, 2) AS thread,
    (VALUES ('succeeded', 1), ('succeeded', 2), ('succeeded', 4), ('failed', 0), ('retrying', 0))
        AS moved (state, bucket)
"""


def fail(database_url: str) -> None:
    """Let some of the deliveries that succeeded have failed, and count a week of moves."""
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute(_FAIL)
        connection.execute(_COUNT, {"names": [each.name for each in SUBSCRIPTIONS]})


def name(database_url: str, errors: int) -> None:
    """Give the failures this number of different errors."""
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute(_NAME, {"errors": errors})
        connection.execute("VACUUM (ANALYZE) deliveries, delivery_counts")
        connection.execute("CHECKPOINT")
