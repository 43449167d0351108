"""Taskiq's producer: `uvicorn taskiq_web:app`."""

from contextlib import asynccontextmanager

from fastapi import FastAPI
from taskiq_tasks import audit, mail, send_welcome, write_audit
from web import NewUser, User, insert, lifespan


@asynccontextmanager
async def brokers(app: FastAPI):
    """Open the brokers with the application."""
    async with lifespan(app):
        await mail.startup()
        await audit.startup()
        yield
        await mail.shutdown()
        await audit.shutdown()


app = FastAPI(lifespan=brokers)


@app.post("/users", status_code=201)
async def create_user(new: NewUser) -> User:
    """Register, then enqueue."""
    user = await insert(new)
    await send_welcome.kiq(user.email, user.full_name)
    await write_audit.kiq(user.id, user.email)
    return user
