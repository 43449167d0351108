"""Is the process alive, can it serve, and how are deliveries doing?"""

from typing import LiteralString

import psycopg
from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, PlainTextResponse, Response
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from psycopg import sql

from messaging.revisions import version_table
from users_api import metrics
from users_api.database import Database, DatabaseUnavailable, Pool, connected, in_time
from users_api.problems import Problem, problem_response
from users_api.strict_route import StrictRoute

router = APIRouter(tags=["health"], route_class=StrictRoute)

_UNFINISHED: LiteralString = """
-- How many deliveries wait in each unfinished state, and for how many seconds the oldest due one has.
SELECT state, count(*) AS count, max(extract(epoch FROM now() - due_at))::float8 AS overdue FROM deliveries
WHERE state IN ('pending', 'retrying') GROUP BY state
UNION ALL
SELECT state, count(*), NULL FROM deliveries WHERE state IN ('queued', 'running') GROUP BY state
UNION ALL
SELECT state, count(*), NULL FROM deliveries WHERE state IN ('failed', 'uncertain') GROUP BY state
"""


@router.get("/livez")
async def livez() -> dict[str, str]:
    """The process runs."""
    return {"status": "alive"}


@router.get("/readyz", responses={503: {"description": "What is wrong, in `checks`"}})
async def readyz(request: Request, pool: Database) -> JSONResponse:
    """Can users be registered? That takes PostgreSQL and its tables; Redis being away changes nothing."""
    checks = {"postgresql": "ok", "migrations": "ok"}
    try:
        missing = request.app.state.revisions.missing(await in_time(_revisions(pool)))
    except DatabaseUnavailable as error:
        checks = {"postgresql": str(error), "migrations": "unknown"}
    else:
        if missing:
            checks["migrations"] = f"{', '.join(sorted(missing))} not applied. Run: users-api migrate"
    if set(checks.values()) == {"ok"}:
        return JSONResponse({"status": "ready", "checks": checks})
    return problem_response(503, Problem(503, "Not ready.", checks=checks).body, {"Retry-After": "2"})


@router.get("/metrics", response_class=PlainTextResponse)
async def show_metrics(pool: Database) -> Response:
    """Metrics for Prometheus. Those of the process itself are there even when PostgreSQL isn't."""
    try:
        metrics.show_deliveries(await in_time(_unfinished(pool)))
    except DatabaseUnavailable:
        metrics.hide_deliveries()
    return Response(generate_latest(metrics.REGISTRY), media_type=CONTENT_TYPE_LATEST)


async def _revisions(pool: Pool) -> set[str]:
    query = sql.SQL("SELECT version_num FROM {}").format(sql.Identifier(version_table("users_api")))
    try:
        async with connected(pool) as connection:
            return {row["version_num"] for row in await (await connection.execute(query)).fetchall()}
    except psycopg.errors.UndefinedTable:
        return set()


async def _unfinished(pool: Pool) -> list[metrics.Unfinished]:
    async with connected(pool) as connection:
        rows = await (await connection.execute(_UNFINISHED)).fetchall()
    return [metrics.Unfinished(**row) for row in rows]
