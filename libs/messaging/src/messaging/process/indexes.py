"""Indexes of large tables, built by migrations while everything else goes on reading and writing."""

from typing import LiteralString

from alembic import op
from sqlalchemy import text

COMMITTED = "committed"
"""An attribute of Alembic's configuration: whether a migration has committed what precedes it."""

_INVALID: LiteralString = """
-- Return an index that isn't valid, with its schema: one that an interrupted build left. It costs writes, and no query
-- uses it.
SELECT indexrelid::regclass::text FROM pg_index JOIN pg_class ON pg_class.oid = indexrelid
WHERE indrelid = to_regclass(:table) AND relname = :name AND NOT indisvalid
"""


def build_index(name: LiteralString, table: LiteralString, definition: LiteralString) -> None:
    """Build an index in a migration, unless it exists: `definition` is what follows the table's name.

    The build blocks no write, but it waits until the transactions that are open have ended, a backup too. It can't be
    part of a transaction, so the migrations before it are committed. If it is interrupted, its migration is run again
    from its beginning: let the index come first in it.
    """
    context = op.get_context()
    with context.autocommit_block():
        if context.config is not None:
            context.config.attributes[COMMITTED] = True
        op.execute("SET lock_timeout = 0")
        op.execute("SET statement_timeout = 0")
        for invalid in op.get_bind().execute(text(_INVALID), {"table": table, "name": name}).scalars():
            op.execute(f"DROP INDEX CONCURRENTLY {invalid}")
        op.execute(f"CREATE INDEX CONCURRENTLY IF NOT EXISTS {name} ON {table} {definition}")
