"""The application's resources, as routes depend on them. Tests replace it with `app.dependency_overrides`."""

from typing import Annotated

from fastapi import Depends, Request

from users_api.pool import Pool
from users_api.registrar import Registrar


async def get_pool(request: Request) -> Pool:
    """Return the pool of the process."""
    pool: Pool = request.app.state.pool
    return pool


async def get_registrar(request: Request) -> Registrar:
    """Return what registers the users of all requests together."""
    registrar: Registrar = request.app.state.registrar
    return registrar


Database = Annotated[Pool, Depends(get_pool)]
Registering = Annotated[Registrar, Depends(get_registrar)]
