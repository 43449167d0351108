"""Taskiq's consumers: `taskiq worker taskiq_tasks:mail`, `taskiq_tasks:audit`. Plain functions run in its threads."""

import job
from psycopg_pool import ConnectionPool
from taskiq_redis import RedisStreamBroker

IDLE = 30_000
"""Milliseconds until another consumer may claim what a dead one held; ten minutes by default."""

mail = RedisStreamBroker(job.REDIS_URL, queue_name="mail", consumer_group_name="mail", idle_timeout=IDLE)
audit = RedisStreamBroker(job.REDIS_URL, queue_name="audit", consumer_group_name="audit", idle_timeout=IDLE)
pool = ConnectionPool(job.DATABASE_URL, min_size=0, max_size=8, open=False)


@mail.task
def send_welcome(email: str, full_name: str) -> None:
    """Mail."""
    job.send_welcome(email, full_name)


@audit.task
def write_audit(user_id: int, email: str) -> None:
    """Audit."""
    pool.open()  # does nothing when it is open
    job.write_audit(pool, user_id, email)
