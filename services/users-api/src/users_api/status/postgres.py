"""What the API can say of its PostgreSQL."""

from typing import LiteralString

from users_api.database import query
from users_api.pool import Pool
from users_api.status.schemas import PostgresStatus

_SERVER: LiteralString = """
-- Every role may count connections, and read these settings and the size of the database that it is connected to.
SELECT current_setting('server_version') AS version, current_setting('max_connections')::int AS max_connections,
    (SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend') AS connections,
    pg_database_size(current_database()) AS database_bytes
"""


async def postgres_status(pool: Pool) -> PostgresStatus:
    """Return version, connections and size."""
    return PostgresStatus.model_validate((await query(pool, _SERVER, {}))[0])
