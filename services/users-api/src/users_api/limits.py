"""How large a request may be."""

from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from users_api.problems import Problem, problem_response

MAX_BODY = 65_536

_TOO_LARGE = f"The body is larger than {MAX_BODY} bytes."


class LimitBody:
    """ASGI middleware: a body of over 64 KiB gets 413, announced or not, and is never held in memory."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        received = 0

        async def limited() -> Message:
            nonlocal received
            message = await receive()
            received += len(message.get("body", b""))
            if received > MAX_BODY:
                raise HTTPException(413, _TOO_LARGE)  # FastAPI would make a 400 of any other exception here
            return message

        if _announced(scope) > MAX_BODY:
            await problem_response(413, Problem(413, _TOO_LARGE).body)(scope, receive, send)
        else:
            await self._app(scope, limited, send)


def _announced(scope: Scope) -> int:
    length = dict(scope.get("headers", ())).get(b"content-length", b"0")
    return int(length) if length.isdigit() else 0
