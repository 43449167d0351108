"""FastStream's producer: `uvicorn faststream_web:app`."""

from contextlib import asynccontextmanager

import job
from fastapi import FastAPI
from faststream.redis import RedisBroker
from web import NewUser, User, insert, lifespan

broker = RedisBroker(job.REDIS_URL)


@asynccontextmanager
async def connected(app: FastAPI):
    """Open the broker with the application."""
    async with lifespan(app), broker:
        await broker.start()
        yield


app = FastAPI(lifespan=connected)


@app.post("/users", status_code=201)
async def create_user(new: NewUser) -> User:
    """Register, then publish."""
    user = await insert(new)
    await broker.publish({"email": user.email, "full_name": user.full_name}, stream="mail")
    await broker.publish({"user_id": user.id, "email": user.email}, stream="audit")
    return user
