"""The rows of users-api that the relay's housekeeping deletes. This imports nothing: the relay is no web process."""

from typing import LiteralString

FORGET_KEYS: LiteralString = """
-- Delete answers after a day, or after the retention if that is shorter.
DELETE FROM idempotency_keys WHERE key = ANY (ARRAY(
    SELECT key FROM idempotency_keys WHERE created_at < now() - least(interval '1 day', %(retention)s)
    ORDER BY created_at
    LIMIT %(limit)s
    FOR UPDATE SKIP LOCKED
))
"""
