"""The command `herald`, put together. Only the command that runs is imported, so that each starts quickly."""

import io
import sys

from users_api.herald import program
from users_api.herald.deferred import Deferred, group

COMMANDS = {
    "status": Deferred(
        "users_api.herald.status",
        "status",
        "Show what waits, runs and failed, by subscription; the relays and workers; PostgreSQL and Redis.",
    ),
    "user": Deferred(
        "users_api.herald.users",
        "user",
        "Show what happened to a user: the registration, and every effect with its attempts, errors and references.",
    ),
    "doctor": Deferred(
        "users_api.herald.doctor",
        "doctor",
        "Check PostgreSQL, its migrations, Redis, clocks, relays, workers, the mail server, and lateness.",
    ),
    "deliveries": Deferred(
        "users_api.herald.moving", "app", "Search deliveries; retry, cancel, confirm or replay one or many."
    ),
    "operations": Deferred("users_api.herald.operations", "app", "What operators did, and what is being done."),
    "events": Deferred("users_api.herald.events", "app", "Show an event."),
    "schedules": Deferred("users_api.schedules", "app", "List schedules; make an extra event of one now."),
}

QUESTIONS = {
    "What failed in the last ten minutes, and why?": "deliveries groups --finished-since 10m",
    "How many wait, and how old is the oldest?": "status",
    "What happened to maya@example.com?": "user maya@example.com",
    "Is the relay alive, and does it keep up?": "doctor",
    "Send again what failed since noon, UTC:": "deliveries retry --all --finished-since 12:00",
}
"""What operators ask first, and the command that answers it."""

app = group(
    COMMANDS,
    help="See what became of every registration, and mend what failed. DATABASE_URL is that of users-api.",
    epilog="\n".join(f"{question}\n    {program()} {command}" for question, command in QUESTIONS.items()),
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)


@app.callback()
def _tolerate() -> None:
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # a terminal's encoding may not have a character
