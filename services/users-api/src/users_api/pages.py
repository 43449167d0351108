"""The pages for people: `/` says what this is, `/docs` lets them try it, `/events` shows what happens here.

Nothing on them comes from elsewhere.
"""

from html import escape

from fastapi import APIRouter, FastAPI, Request
from fastapi.openapi.docs import get_swagger_ui_html
from fastapi.responses import FileResponse, HTMLResponse
from fastapi.staticfiles import StaticFiles

from users_api.strict_route import StrictRoute

router = APIRouter(route_class=StrictRoute, include_in_schema=False)

_ABOUT = "Registers users, and sees to it that every registration has its effects: a welcome email, an audit entry."

_PAGE = """<!doctype html>
<html lang="en">
<meta charset="utf-8"><meta name="viewport" content="width=device-width"><link rel="icon" href="data:,">
<title>Herald</title>
<style>
:root {{ color-scheme: light dark }}
body {{ font: 1.1rem/1.6 system-ui, sans-serif; max-width: 40rem; margin: 15vh auto; padding: 0 1rem }}
</style>
<h1>Herald</h1>
<p>{about}</p>
<ul>
{links}
</ul>
</html>
"""


def mount_assets(app: FastAPI, mailbox_url: str | None) -> None:
    """Serve what `/docs` is made of; `mailbox_url`: the page that shows the sent mails, in development."""
    app.state.mailbox_url = mailbox_url
    app.state.console = False
    app.mount("/docs/assets", StaticFiles(packages=[("fastapi_swagger", "resources")]))


@router.get("/")
async def show_front(request: Request) -> HTMLResponse:
    """Say what this is, and where to go on."""
    items = (f'<li><a href="{escape(url)}">{escape(url)}</a>: {escape(text)}' for url, text in _links(request))
    return HTMLResponse(_PAGE.format(about=escape(_ABOUT), links="\n".join(items)))


@router.get("/docs")
async def show_docs(request: Request) -> HTMLResponse:
    """Show Swagger UI, from our own files."""
    root = _root(request)
    return get_swagger_ui_html(
        openapi_url=f"{root}/openapi.json",
        title="Herald: the API",
        swagger_js_url=f"{root}/docs/assets/swagger-ui-bundle.js",
        swagger_css_url=f"{root}/docs/assets/swagger-ui.css",
        swagger_favicon_url=f"{root}/docs/assets/favicon-32x32.png",
        swagger_ui_parameters={"validatorUrl": None},  # else it would ask swagger.io
    )


@router.get("/events")
def show_events(request: Request) -> HTMLResponse:
    """Show the event catalogue."""
    from users_api.event_page import event_page

    return HTMLResponse(event_page(_root(request)))


@router.get("/asyncapi.json")
def show_asyncapi() -> FileResponse:
    """Return the AsyncAPI document, which the catalogue is made from."""
    from contracts.asyncapi import PUBLISHED

    return FileResponse(PUBLISHED, media_type="application/json")


def _links(request: Request) -> list[tuple[str, str]]:
    """Return URL and purpose of what is linked to."""
    root, mailbox = _root(request), request.app.state.mailbox_url
    return [
        *([(f"{root}/console", "see what happens, and act")] if request.app.state.console else []),
        (f"{root}/docs", "try the API"),
        (f"{root}/openapi.json", "the API, for programs"),
        (f"{root}/events", "the events, and what follows from them"),
        (f"{root}/asyncapi.json", "the events, for programs"),
        (f"{root}/users", "the registered users"),
        (f"{root}/readyz", "can it register users?"),
        (f"{root}/metrics", "for Prometheus"),
        *([(mailbox, "the mails that were sent")] if mailbox else []),
    ]


def _root(request: Request) -> str:
    root: str = request.scope.get("root_path", "")
    return root.rstrip("/")
