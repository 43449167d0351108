"""A floor: the route without any effects."""

from fastapi import FastAPI
from web import NewUser, User, insert, lifespan

app = FastAPI(lifespan=lifespan)


@app.post("/users", status_code=201)
async def create_user(new: NewUser) -> User:
    """Register."""
    return await insert(new)
