"""The only ASGI middleware of users-api itself."""

import time

import structlog
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from users_api import metrics
from users_api.problems import Problem, problem_response

IS_HEAD = "herald.head"
"""A key of the scope: set, if the request was HEAD. A stream ends at once then: its body would never."""

log: structlog.stdlib.BoundLogger = structlog.get_logger("users-api")


class AroundRequests:
    """Counts and times every answer, answers HEAD as GET, and makes a 500 of a crash.

    - HEAD: the application sees GET. The server knows that the method was HEAD, and sends no body.
    - A crash is logged once. An exception handler for it would sit outside of every middleware, so metrics would miss
      the answer; and Starlette would raise the exception again, so uvicorn would log it twice and close the connection.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        method, began, is_answered = scope["method"], time.perf_counter(), False

        async def send_counted(message: Message) -> None:
            nonlocal is_answered
            if message["type"] == "http.response.start":
                is_answered = True
                metrics.count_answer(method, message["status"], time.perf_counter() - began)
            await send(message)

        try:
            await self._app(
                {**scope, "method": "GET", IS_HEAD: True} if method == "HEAD" else scope, receive, send_counted
            )
        except Exception:
            if is_answered:
                raise
            log.exception("request.crashed", path=scope["path"])
            body = Problem(500, "An unexpected error occurred. The log of users-api has the details.").body
            await problem_response(500, body)(scope, receive, send_counted)
