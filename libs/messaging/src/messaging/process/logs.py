"""One format for all log lines of a process: Herald's, Dramatiq's, uvicorn's.

A log event is `noun.verb_past` plus fields. `event_id` and `correlation_id` are bound wherever an event is handled.
No email address and no person's name is logged at INFO.
"""

import logging
import sys
from typing import Literal

import structlog

_SHARED: list[structlog.typing.Processor] = [
    structlog.contextvars.merge_contextvars,
    structlog.stdlib.add_log_level,
    structlog.processors.TimeStamper(fmt="iso", utc=True),
]


def configure(level: str, style: Literal["json", "console"]) -> None:
    """Send every log line of this process to stderr, as JSON or readable on a console."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[*_SHARED, structlog.stdlib.add_logger_name],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *_render(style)],
        )
    )
    logging.basicConfig(handlers=[handler], level=level, force=True)
    logging.getLogger("httpx").setLevel(logging.WARNING)  # it logs whole URLs, which may hold a token
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *_SHARED,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )


def _render(style: Literal["json", "console"]) -> list[structlog.typing.Processor]:
    if style == "json":
        return [structlog.processors.format_exc_info, structlog.processors.JSONRenderer()]
    # Plain tracebacks: the pretty ones show local variables, email addresses among them, and take seconds to render.
    pretty = structlog.dev.ConsoleRenderer(
        colors=sys.stderr.isatty(),
        pad_event_to=28,
        sort_keys=False,
        exception_formatter=structlog.dev.plain_traceback,
    )
    return [pretty]
