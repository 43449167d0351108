"""RQ's jobs: `rq worker -w rq.worker.SimpleWorker mail`, `audit`. SimpleWorker doesn't fork for each job."""

import job
from psycopg_pool import ConnectionPool

pool = ConnectionPool(job.DATABASE_URL, min_size=0, max_size=1, open=False)


def send_welcome(email: str, full_name: str) -> None:
    """Mail."""
    job.send_welcome(email, full_name)


def write_audit(user_id: int, email: str) -> None:
    """Audit."""
    pool.open()  # does nothing when it is open
    job.write_audit(pool, user_id, email)
