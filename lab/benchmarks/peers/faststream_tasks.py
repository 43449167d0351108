"""FastStream's consumers: `faststream run faststream_tasks:mail`, `faststream_tasks:audit`.

Plain functions run in threads, eight messages at a time. A second subscriber claims what a dead consumer held, as its
docs show.
"""

import os

import job
from faststream import FastStream
from faststream.redis import RedisBroker, StreamSub
from psycopg_pool import ConnectionPool

IDLE = 30_000
"""Milliseconds until what a dead consumer held is claimed."""

mail_broker, audit_broker = RedisBroker(job.REDIS_URL), RedisBroker(job.REDIS_URL)
mail, audit = FastStream(mail_broker), FastStream(audit_broker)
pool = ConnectionPool(job.DATABASE_URL, min_size=0, max_size=8, open=False)


def new(stream: str) -> StreamSub:
    """What nobody has read yet."""
    return StreamSub(stream, group=stream, consumer=f"{stream}-{os.getpid()}", max_records=100)


def abandoned(stream: str) -> StreamSub:
    """What somebody read and never acknowledged."""
    return StreamSub(
        stream, group=stream, consumer=f"{stream}-again-{os.getpid()}", min_idle_time=IDLE, polling_interval=5000
    )


@mail_broker.subscriber(stream=abandoned("mail"))
@mail_broker.subscriber(stream=new("mail"), max_workers=8)
def send_welcome(email: str, full_name: str) -> None:
    """Mail."""
    job.send_welcome(email, full_name)


@audit_broker.subscriber(stream=abandoned("audit"))
@audit_broker.subscriber(stream=new("audit"), max_workers=8)
def write_audit(user_id: int, email: str) -> None:
    """Audit."""
    pool.open()  # does nothing when it is open
    job.write_audit(pool, user_id, email)
