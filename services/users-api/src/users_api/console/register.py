"""Register a user by a form, and watch the effects turn from pending to succeeded."""

from http import HTTPStatus
from uuid import uuid4

from fastapi.responses import Response
from pydantic import ValidationError
from starlette.requests import Request

from users_api import queries
from users_api.console import PATH
from users_api.console.forms import pages, read_form
from users_api.console.rendering import page, see
from users_api.database import in_time
from users_api.dependencies import Database, Registering
from users_api.filter_fields import UserNumber
from users_api.problems import Problem
from users_api.registration import Registration
from users_api.schemas import NewUser
from users_api.subjects import subject

router = pages()

LABELS = {"email": "Email address", "full_name": "Full name"}


@router.get("/register")
async def show_form(request: Request) -> Response:
    """Show an empty form."""
    return _form(request)


@router.post("/register")
async def register(request: Request, registrar: Registering) -> Response:
    """Register a user. A form that is sent twice registers one."""
    form = await read_form(request)
    values = {name: form.get(name) for name in LABELS}
    try:
        new = NewUser.model_validate(values)
    except ValidationError as error:
        faults = {str(fault["loc"][0]): fault["msg"] for fault in error.errors()}
        return _form(request, HTTPStatus.UNPROCESSABLE_ENTITY, values, faults)
    key = form.get("key")[:64] or None
    answer = await registrar.register(Registration(new, f"console-{uuid4().hex[:12]}", key))
    if answer.status == HTTPStatus.CREATED:
        return see(request, f"{PATH}/register/{answer.body['id']}")
    return _form(request, answer.status, values, {"email": answer.body["detail"]})


@router.get("/register/{user_id}")
async def show_registered(request: Request, user_id: UserNumber, pool: Database) -> Response:
    """Show a user, with what became of each effect."""
    user = await in_time(queries.user(pool, user_id))
    if user is None:
        raise Problem(404, f"There is no user {user_id}.")
    found = await in_time(queries.deliveries_about(pool, subject(user_id)))
    return page(request, "registered.html.j2", user=user, effects=found.deliveries)


@router.get("/register/{user_id}/effects")
async def show_effects(request: Request, user_id: UserNumber, pool: Database) -> Response:
    """Show what changes on the page of a user who has just been registered."""
    found = await in_time(queries.deliveries_about(pool, subject(user_id)))
    return page(request, "_effects.html.j2", effects=found.deliveries)


def _form(
    request: Request,
    status: int = HTTPStatus.OK,
    values: dict[str, str] | None = None,
    faults: dict[str, str] | None = None,
) -> Response:
    context = {"values": values or {}, "faults": faults or {}, "labels": LABELS, "key": uuid4().hex}
    return page(request, "register.html.j2", status, None, **context)
