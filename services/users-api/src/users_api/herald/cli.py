"""The command `herald`, put together. Only the command that runs is imported, so that each starts quickly."""

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

app = group(
    COMMANDS,
    help="See what became of every registration, and mend what failed. Needs DATABASE_URL, that of users-api.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
