"""How large a request's body may be, and that it comes as it is."""

from collections.abc import Mapping

from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from users_api.problems import Problem, problem_response

MAX_BODY = 65_536

Headers = Mapping[bytes, bytes]

_CODINGS = (b"content-encoding", b"transfer-encoding")
_PLAIN = {"", "identity", "chunked"}
_TOO_LARGE = f"The body is larger than {MAX_BODY} bytes."


class LimitBody:
    """ASGI middleware: a body of over 64 KiB gets 413, announced or not, and is never held in memory.

    One that is compressed gets 415.
    """

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

        headers = dict(scope.get("headers", ()))
        if coding := _coding(headers):
            body = Problem(415, f"The body is encoded as {coding}. Send it as it is, without compression.").body
            await problem_response(415, body, {"Accept-Encoding": "identity"})(scope, receive, send)
        elif _announced(headers) > MAX_BODY:
            await problem_response(413, Problem(413, _TOO_LARGE).body)(scope, receive, send)
        else:
            await self._app(scope, limited, send)


def _announced(headers: Headers) -> int:
    length = headers.get(b"content-length", b"0")
    return int(length) if length.isdigit() else 0


def _coding(headers: Headers) -> str | None:
    """Return how the body is compressed, if it is."""
    sent = b",".join(headers[name] for name in _CODINGS if name in headers).decode("latin-1").lower()
    return next((each.strip()[:20] for each in sent.split(",") if each.strip() not in _PLAIN), None) if sent else None
