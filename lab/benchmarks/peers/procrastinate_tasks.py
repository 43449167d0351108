"""procrastinate's consumers: `procrastinate --app procrastinate_tasks.app worker -q mail`, `-q audit`.

Plain functions run in threads. What a dead worker had begun is tried again by the periodic task of its docs, here
every minute.
"""

import job
from procrastinate import App, JobContext, PsycopgConnector
from psycopg_pool import ConnectionPool

app = App(connector=PsycopgConnector(conninfo=job.DATABASE_URL, max_size=10))
pool = ConnectionPool(job.DATABASE_URL, min_size=0, max_size=8, open=False)


@app.task(queue="mail")
def send_welcome(email: str, full_name: str) -> None:
    """Mail."""
    job.send_welcome(email, full_name)


@app.task(queue="audit")
def write_audit(user_id: int, email: str) -> None:
    """Audit."""
    pool.open()  # does nothing when it is open
    job.write_audit(pool, user_id, email)


@app.periodic(cron="* * * * *")
@app.task(queueing_lock="retry_stalled_jobs", pass_context=True, queue="audit")
async def retry_stalled_jobs(_context: JobContext, timestamp: int) -> None:
    """Make due again what nobody works at any more."""
    for stalled in await app.job_manager.get_stalled_jobs():
        await app.job_manager.retry_job(stalled)
