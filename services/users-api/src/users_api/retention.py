"""What the relay's housekeeping forgets of users-api's own. It imports nothing: the relay is no web process."""

from typing import LiteralString

FORGET_KEYS: LiteralString = """
-- Forget answers after a day, or sooner if nothing is kept for so long.
DELETE FROM idempotency_keys WHERE key = ANY (ARRAY(
    SELECT key FROM idempotency_keys WHERE created_at < now() - least(interval '1 day', %(retention)s)
    ORDER BY created_at
    LIMIT %(limit)s
    FOR UPDATE SKIP LOCKED
))
"""
