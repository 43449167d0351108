"""Celery's consumers: `celery -A celery_tasks worker -Q mail`, `-Q audit`."""

import job
from celery import Celery
from psycopg_pool import ConnectionPool

app = Celery("peers", broker=job.REDIS_URL)
app.conf.task_ignore_result = True
app.conf.worker_prefetch_multiplier = 64  # "Optimizing": 64 or 128 for many short tasks
app.conf.task_routes = {"celery_tasks.send_welcome": {"queue": "mail"}, "celery_tasks.write_audit": {"queue": "audit"}}
pool = ConnectionPool(job.DATABASE_URL, min_size=0, max_size=8, open=False)


@app.task
def send_welcome(email: str, full_name: str) -> None:
    """Mail."""
    job.send_welcome(email, full_name)


@app.task
def write_audit(user_id: int, email: str) -> None:
    """Audit."""
    pool.open()  # does nothing when it is open
    job.write_audit(pool, user_id, email)
