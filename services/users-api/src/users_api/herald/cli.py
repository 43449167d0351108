"""The command `herald`, put together. A command imports what it alone needs, so that each starts quickly."""

import typer

from users_api.herald.deliveries import app as deliveries
from users_api.herald.doctor import doctor
from users_api.herald.events import app as events
from users_api.herald.moving import cancel, replay, retry
from users_api.herald.operations import app as operations
from users_api.herald.status import status
from users_api.herald.users import user
from users_api.schedules import app as schedules

app = typer.Typer(
    help="See what became of every registration, and mend what failed. Needs DATABASE_URL, that of users-api.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)

app.command()(status)
app.command()(user)
app.command()(doctor)
for move in (retry, cancel, replay):
    deliveries.command()(move)
app.add_typer(deliveries, name="deliveries")
app.add_typer(operations, name="operations")
app.add_typer(events, name="events")
app.add_typer(schedules, name="schedules")
