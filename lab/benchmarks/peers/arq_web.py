"""arq's producer: `uvicorn arq_web:app`."""

from contextlib import asynccontextmanager

import job
from arq import create_pool
from arq.connections import RedisSettings
from fastapi import FastAPI, Request
from web import NewUser, User, insert, lifespan


@asynccontextmanager
async def queues(app: FastAPI):
    """Open arq's connections with the application."""
    async with lifespan(app):
        app.state.arq = await create_pool(RedisSettings.from_dsn(job.REDIS_URL))
        yield
        await app.state.arq.aclose()


app = FastAPI(lifespan=queues)


@app.post("/users", status_code=201)
async def create_user(new: NewUser, request: Request) -> User:
    """Register, then enqueue."""
    user = await insert(new)
    await request.app.state.arq.enqueue_job("send_welcome", user.email, user.full_name, _queue_name="mail")
    await request.app.state.arq.enqueue_job("write_audit", user.id, user.email, _queue_name="audit")
    return user
