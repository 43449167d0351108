"""The console's style sheet and scripts, with a hash in their address so that browsers may keep them."""

import hashlib
from functools import cache
from importlib import resources

from fastapi import APIRouter
from fastapi.responses import Response
from starlette.exceptions import HTTPException
from starlette.requests import Request

from users_api.console import PATH

TYPES = {"css": "text/css; charset=utf-8", "js": "text/javascript; charset=utf-8", "txt": "text/plain; charset=utf-8"}
NAMES = ("console.css", "console.js", "htmx.min.js", "htmx-sse.min.js", "VENDORED.txt")

router = APIRouter(prefix=PATH)

_FOR_A_YEAR = "public, max-age=31536000, immutable"


@cache
def content(name: str) -> bytes:
    """Return a file."""
    return resources.files("users_api.console").joinpath("assets", name).read_bytes()


@cache
def version(name: str) -> str:
    """Return what changes when the file does."""
    return hashlib.sha256(content(name)).hexdigest()[:12]


def asset(name: str) -> str:
    """Return the path of a file, without the root."""
    return f"{PATH}/assets/{name}?v={version(name)}"


@router.get("/assets/{name}")
async def show_asset(request: Request, name: str) -> Response:
    """Return one file. With the version in its address it never changes."""
    if name not in NAMES:
        raise HTTPException(404)
    is_lasting = request.query_params.get("v") == version(name)
    headers = {"Cache-Control": _FOR_A_YEAR if is_lasting else "no-cache"}
    return Response(content(name), media_type=TYPES[name.rpartition(".")[2]], headers=headers)
