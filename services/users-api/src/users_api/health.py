"""Is the process alive, can it serve, and how are deliveries doing?"""

from typing import LiteralString
from uuid import UUID

import psycopg
from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, PlainTextResponse, Response
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from psycopg import sql

from messaging.process.revisions import version_table
from messaging.publishing import operations
from users_api import metrics, queries, responses
from users_api.database import DatabaseUnavailable, in_time, query, using
from users_api.dependencies import Database
from users_api.documented import ANYWHERE, UNAVAILABLE, documented
from users_api.pool import Pool
from users_api.problems import Problem, problem_response
from users_api.registration import rehearse
from users_api.schemas import Alive, Ready
from users_api.status.backlog import backlogs
from users_api.strict_route import StrictRoute

router = APIRouter(tags=["health"], route_class=StrictRoute, responses=documented(*ANYWHERE))

_SCHEMAS: LiteralString = """
-- Which schemas have a table of this name, whether this role can see them or not.
SELECT nspname FROM pg_class JOIN pg_namespace ON pg_namespace.oid = relnamespace WHERE relname = %(table)s
"""


@router.get("/livez", summary="Is the process alive?", responses=responses.LIVEZ)
async def livez() -> Alive:
    """The process runs."""
    return Alive()


@router.get("/readyz", summary="Can it register users?", response_model=Ready, responses=responses.READYZ)
async def readyz(request: Request, pool: Database) -> JSONResponse:
    """Can users be registered and read? The very statements are executed, on no rows.

    That takes PostgreSQL and its tables; Redis being away changes nothing.
    """
    checks = {"postgresql": "ok", "migrations": "unknown"}
    try:
        missing = request.app.state.revisions.missing(await in_time(_revisions(pool)))
        checks["migrations"] = f"{', '.join(sorted(missing))} not applied. Run: users-api migrate" if missing else "ok"
        if not missing:
            await in_time(_rehearse(pool))
    except DatabaseUnavailable as error:
        checks["postgresql"] = str(error)
    if set(checks.values()) == {"ok"}:
        return JSONResponse({"status": "ready", "checks": checks})
    return problem_response(503, Problem(503, "Not ready.", checks=checks).body, {"Retry-After": "2"})


@router.get(
    "/metrics",
    summary="Show metrics for Prometheus",
    response_class=PlainTextResponse,
    responses=documented(UNAVAILABLE) | responses.METRICS,
)
async def show_metrics(pool: Database) -> Response:
    """Metrics for Prometheus. Those of the process itself are there even when PostgreSQL isn't."""
    try:
        metrics.show_deliveries((await in_time(backlogs(pool))).by_subscription)
    except DatabaseUnavailable:
        metrics.hide_deliveries()
    return Response(generate_latest(metrics.REGISTRY), media_type=CONTENT_TYPE_LATEST)


async def _revisions(pool: Pool) -> set[str]:
    """Return which revisions the database has.

    Raises:
        DatabaseUnavailable: their table exists, but this role or its search_path doesn't reach it.
    """
    table = version_table("users_api")
    try:
        rows = await query(pool, sql.SQL("SELECT version_num FROM {}").format(sql.Identifier(table)), {})
    except psycopg.errors.UndefinedTable as error:
        schemas = ", ".join(row["nspname"] for row in await query(pool, _SCHEMAS, {"table": table}))
        if schemas:
            message = f"{table} is in schema {schemas}, but can't be seen: check search_path and rights"
            raise DatabaseUnavailable(message, error.sqlstate) from error
        return set()
    return {row["version_num"] for row in rows}


async def _rehearse(pool: Pool) -> None:
    """Do all that the API does, to nothing: no row is written, no number is used up."""
    await using(pool, rehearse)
    await queries.user(pool, 0)
    await queries.page(pool, 2**63 - 1, 1)
    await queries.deliveries_about(pool, "")
    await query(pool, operations.RETRY_BY_OPERATOR, operations.retrying(UUID(int=0), "", None))
