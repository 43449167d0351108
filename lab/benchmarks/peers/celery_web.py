"""Celery's producer: `uvicorn celery_web:app`."""

from celery_tasks import send_welcome, write_audit
from fastapi import FastAPI
from web import NewUser, User, insert, lifespan

app = FastAPI(lifespan=lifespan)


@app.post("/users", status_code=201)
async def create_user(new: NewUser) -> User:
    """Register, then enqueue."""
    user = await insert(new)
    send_welcome.delay(user.email, user.full_name)
    write_audit.delay(user.id, user.email)
    return user
