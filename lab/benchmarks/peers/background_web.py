"""FastAPI's own BackgroundTasks: both effects after the answer, in the web process. `uvicorn background_web:app`."""

import job
from fastapi import BackgroundTasks, FastAPI
from psycopg_pool import ConnectionPool
from web import NewUser, User, insert, lifespan

audit_pool = ConnectionPool(job.DATABASE_URL, min_size=0, max_size=8, open=True)
app = FastAPI(lifespan=lifespan)


@app.post("/users", status_code=201)
async def create_user(new: NewUser, tasks: BackgroundTasks) -> User:
    """Register; plain functions run in Starlette's threads afterwards."""
    user = await insert(new)
    tasks.add_task(job.send_welcome, user.email, user.full_name)
    tasks.add_task(job.write_audit, audit_pool, user.id, user.email)
    return user
