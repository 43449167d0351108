"""What shows only in the log as a whole: rows that the chain doesn't cover exactly once, and erasures that are none.

Every covered row exists by then, and so does every row that waits. So if no row is covered twice, and the log has as
many rows as are covered or wait, then each row is there once and is covered.
"""

from datetime import timedelta
from typing import Any, LiteralString

from psycopg import Connection
from psycopg.rows import class_row

from auditor.chain.findings import Erased, Finding, Kind
from auditor.chain.seals import one_row

_WAITING: LiteralString = """
-- Count the rows that wait to be sealed, those of them that are gone, and how long the first has waited.
SELECT count(DISTINCT waiting.id), min(waiting.id) FILTER (WHERE audit_log.id IS NULL),
    clock_timestamp() - min(recorded_at)
FROM (SELECT unnest(ids) AS id FROM audit_unsealed) AS waiting LEFT JOIN audit_log USING (id)
"""

_TWICE: LiteralString = """
-- Find the first row that seals cover twice, or that waits although a seal covers it.
SELECT id, (SELECT event_id FROM audit_log WHERE audit_log.id = covered.id LIMIT 1) FROM (
    SELECT unnest(row_ids) AS id FROM audit_seals UNION ALL (SELECT DISTINCT unnest(ids) FROM audit_unsealed)
) AS covered GROUP BY id HAVING count(*) > 1 ORDER BY id LIMIT 1
"""

_COUNT: LiteralString = """
-- Count the rows of the log.
SELECT count(*) FROM audit_log
"""

_UNCOVERED: LiteralString = """
-- Find the first row that no seal covers and that doesn't wait to be sealed.
SELECT id, event_id FROM audit_log WHERE NOT EXISTS (
    SELECT FROM (
        SELECT unnest(row_ids) AS id FROM audit_seals UNION ALL SELECT unnest(ids) FROM audit_unsealed
    ) AS covered WHERE covered.id = audit_log.id
) ORDER BY id LIMIT 1
"""

_DOUBLED: LiteralString = """
-- Find the first id that several rows have. Which of them was inserted can't be known.
SELECT id, NULL FROM audit_log GROUP BY id HAVING count(*) > 1 ORDER BY id LIMIT 1
"""

_DISGUISED: LiteralString = """
-- Find the first row that names erased rows and isn't an erasure: an erasure is about no person, all rows that it names
-- are older and erased, and no erasure before names them.
WITH erasures AS (SELECT * FROM audit_log WHERE erased IS NOT NULL),
    named AS (SELECT id AS erasure, event_id AS erasure_event, unnest(erased) AS id FROM erasures)
SELECT id, event_id FROM erasures
WHERE action <> 'personal_data_erased' OR num_nonnulls(email, user_id, commitment) > 0 OR cardinality(erased) = 0
UNION ALL
SELECT erasure, erasure_event
FROM named LEFT JOIN audit_log USING (id)
WHERE audit_log.id IS NULL OR id >= erasure OR commitment IS NULL OR num_nonnulls(email, user_id) > 0
UNION ALL
SELECT max(erasure), NULL FROM named GROUP BY id HAVING count(*) > 1
ORDER BY 1 LIMIT 1
"""

_UNEXPLAINED: LiteralString = """
-- Find the first row without personal data that no sealed erasure names.
SELECT id, event_id FROM audit_log WHERE email IS NULL AND user_id IS NULL AND erased IS NULL AND NOT EXISTS (
    SELECT FROM (
        SELECT unnest(erased) AS id FROM audit_log
        WHERE erased IS NOT NULL AND id NOT IN (SELECT unnest(ids) FROM audit_unsealed)
    ) AS explained WHERE explained.id = audit_log.id
) ORDER BY id LIMIT 1
"""

_ERASURES: LiteralString = """
-- Return the erasures.
SELECT id AS row_id, event_id, recorded_at, erased FROM audit_log WHERE erased IS NOT NULL ORDER BY id
"""


def waiting(connection: Connection[Any]) -> tuple[int, int | None, timedelta | None]:
    """Return how many rows wait to be sealed, the first of them that is gone, and how long the first has waited."""
    count, gone, age = one_row(connection, _WAITING)
    return count, gone, age


def not_covered_once(connection: Connection[Any], covered: int) -> Finding | None:
    """Find a row that was inserted, or covered again. `covered`: how many are covered by seals, or wait."""
    twice = "row {} was inserted into the chain again: a seal covers it, and so does another seal or the queue"
    if finding := _first(connection, _TWICE, "inserted", twice):
        return finding
    [count] = one_row(connection, _COUNT)
    if count == covered:
        return None
    uncovered = "row {} was inserted: no seal covers it, and it doesn't wait for one"
    return (
        _first(connection, _UNCOVERED, "inserted", uncovered)
        or _first(connection, _DOUBLED, "inserted", "a row was inserted: several have the id {}")
        or Finding("inserted", f"the log has {count} rows, and {covered} are covered or wait")
    )


def not_erased(connection: Connection[Any]) -> Finding | None:
    """Find a row that passes for an erasure, or for erased."""
    disguised = "row {} was inserted: it passes for an erasure, and the rows that it names aren't erased by it"
    unexplained = "row {} was edited: its personal data is gone, and no sealed erasure names it"
    found = _first(connection, _DISGUISED, "inserted", disguised)
    return found or _first(connection, _UNEXPLAINED, "edited", unexplained)


def erasures(connection: Connection[Any]) -> list[Erased]:
    """Return the erasures, in the order of their rows."""
    with connection.cursor(row_factory=class_row(Erased)) as cursor:
        return cursor.execute(_ERASURES).fetchall()


def _first(connection: Connection[Any], statement: LiteralString, kind: Kind, detail: str) -> Finding | None:
    for row_id, event_id in connection.execute(statement):
        return Finding(kind, detail.format(row_id), row_id=row_id, event_id=event_id)
    return None
