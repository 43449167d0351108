"""arq's consumers: `arq arq_tasks.Mail`, `arq arq_tasks.Audit`. Blocking work goes to threads, as its docs show."""

import asyncio
from concurrent.futures import ThreadPoolExecutor

import job
from arq.connections import RedisSettings
from psycopg_pool import ConnectionPool

threads = ThreadPoolExecutor(8)
pool = ConnectionPool(job.DATABASE_URL, min_size=0, max_size=8, open=False)


async def send_welcome(_ctx: dict, email: str, full_name: str) -> None:
    """Mail."""
    await asyncio.get_running_loop().run_in_executor(threads, job.send_welcome, email, full_name)


async def write_audit(_ctx: dict, user_id: int, email: str) -> None:
    """Audit."""
    await asyncio.get_running_loop().run_in_executor(threads, job.write_audit, pool, user_id, email)


async def open_pool(_ctx: dict) -> None:
    """Open the pool at the worker's start."""
    pool.open()


class Mail:
    """The mail worker; nobody asks for results, so none are kept. (arq reads no inherited settings.)"""

    functions = (send_welcome,)
    queue_name = "mail"
    redis_settings = RedisSettings.from_dsn(job.REDIS_URL)
    keep_result = 0
    job_timeout = 20  # a lost job is tried again after this and ten seconds; 300 by default


class Audit:
    """The audit worker."""

    functions = (write_audit,)
    queue_name = "audit"
    redis_settings = RedisSettings.from_dsn(job.REDIS_URL)
    keep_result = 0
    job_timeout = 20
    on_startup = open_pool
