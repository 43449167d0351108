"""The API's half, the same for every peer: what a registration is, the pool, the committed row. Routes are theirs."""

from contextlib import asynccontextmanager

from fastapi import FastAPI, HTTPException
from job import DATABASE_URL, INSERT_USER
from psycopg.errors import UniqueViolation
from psycopg_pool import AsyncConnectionPool
from pydantic import BaseModel, EmailStr

pool = AsyncConnectionPool(DATABASE_URL, min_size=2, max_size=10, open=False)


class NewUser(BaseModel):
    """A registration."""

    email: EmailStr
    full_name: str


class User(BaseModel):
    """The answer. Its address was validated once."""

    id: int
    email: str
    full_name: str


@asynccontextmanager
async def lifespan(_app: FastAPI):
    """Open the pool for as long as the application runs."""
    async with pool:
        yield


async def insert(new: NewUser) -> User:
    """Insert a user in a transaction of its own; committed on return."""
    try:
        async with pool.connection() as connection:
            cursor = await connection.execute(INSERT_USER, [new.email, new.full_name])
            (user_id,) = await cursor.fetchone()
    except UniqueViolation:
        raise HTTPException(409, "taken") from None
    return User(id=user_id, email=new.email, full_name=new.full_name)
