"""Plain Dramatiq's producer: `uvicorn dramatiq_web:app`."""

from dramatiq_tasks import send_welcome, write_audit
from fastapi import FastAPI
from web import NewUser, User, insert, lifespan

app = FastAPI(lifespan=lifespan)


@app.post("/users", status_code=201)
async def create_user(new: NewUser) -> User:
    """Register, then enqueue."""
    user = await insert(new)
    send_welcome.send(user.email, user.full_name)
    write_audit.send(user.id, user.email)
    return user
