"""RQ's producer: `uvicorn rq_web:app`."""

import job
from fastapi import FastAPI
from redis import Redis
from rq import Queue
from rq_tasks import send_welcome, write_audit
from web import NewUser, User, insert, lifespan

connection = Redis.from_url(job.REDIS_URL)
mail, audit = Queue("mail", connection=connection), Queue("audit", connection=connection)
app = FastAPI(lifespan=lifespan)


@app.post("/users", status_code=201)
async def create_user(new: NewUser) -> User:
    """Register, then enqueue; nobody asks for results, so none are kept."""
    user = await insert(new)
    mail.enqueue(send_welcome, user.email, user.full_name, result_ttl=0)
    audit.enqueue(write_audit, user.id, user.email, result_ttl=0)
    return user
