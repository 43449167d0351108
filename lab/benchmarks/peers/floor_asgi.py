"""A floor: no framework and no validation, one INSERT."""

import json

from job import DATABASE_URL, INSERT_USER
from psycopg_pool import AsyncConnectionPool

pool = AsyncConnectionPool(DATABASE_URL, min_size=2, max_size=10, open=False)


async def app(scope, receive, send) -> None:
    """Answer every request as if it were POST /users."""
    if scope["type"] == "lifespan":
        await live(receive, send)
        return
    body = b""
    more = True
    while more:
        message = await receive()
        body, more = body + message.get("body", b""), message.get("more_body", False)
    new = json.loads(body)
    async with pool.connection() as connection:
        cursor = await connection.execute(INSERT_USER, [new["email"], new["full_name"]])
        (user_id,) = await cursor.fetchone()
    answer = json.dumps({"id": user_id, **new}).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(answer))]
    await send({"type": "http.response.start", "status": 201, "headers": headers})
    await send({"type": "http.response.body", "body": answer})


async def live(receive, send) -> None:
    """Open the pool, and close it at the end."""
    await receive()
    await pool.open()
    await send({"type": "lifespan.startup.complete"})
    await receive()
    await pool.close()
    await send({"type": "lifespan.shutdown.complete"})
