"""Plain Dramatiq's consumers: `dramatiq dramatiq_tasks --queues mail`, `--queues audit`."""

import dramatiq
import job
from dramatiq.brokers.redis import RedisBroker
from psycopg_pool import ConnectionPool

dramatiq.set_broker(RedisBroker(url=job.REDIS_URL))
pool = ConnectionPool(job.DATABASE_URL, min_size=0, max_size=8, open=False)


@dramatiq.actor(queue_name="mail")
def send_welcome(email: str, full_name: str) -> None:
    """Mail."""
    job.send_welcome(email, full_name)


@dramatiq.actor(queue_name="audit")
def write_audit(user_id: int, email: str) -> None:
    """Audit."""
    pool.open()  # does nothing when it is open
    job.write_audit(pool, user_id, email)
