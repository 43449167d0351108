"""procrastinate's producer: `uvicorn procrastinate_web:app`."""

from contextlib import asynccontextmanager

import procrastinate_tasks as tasks
from fastapi import FastAPI
from web import NewUser, User, insert, lifespan


@asynccontextmanager
async def opened(app: FastAPI):
    """Open procrastinate with the application."""
    async with lifespan(app), tasks.app.open_async():
        yield


app = FastAPI(lifespan=opened)


@app.post("/users", status_code=201)
async def create_user(new: NewUser) -> User:
    """Register, then enqueue."""
    user = await insert(new)
    await tasks.send_welcome.defer_async(email=user.email, full_name=user.full_name)
    await tasks.write_audit.defer_async(user_id=user.id, email=user.email)
    return user
