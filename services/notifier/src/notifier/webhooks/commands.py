"""The commands of `notifier webhook`. The exit status is 0 for yes, 1 for no, and 2 if a setting is wrong."""

import time
from uuid import uuid4

import typer

from messaging.errors import MessagingError
from messaging.privacy import Hidden
from messaging.process.settings import load_or_exit
from notifier.commands.opened import opened
from notifier.webhooks import disabled
from notifier.webhooks.disabled import Disabled
from notifier.webhooks.handlers import trial_message
from notifier.webhooks.settings import EndpointSettings, WebhookSettings, open_endpoint

app = typer.Typer(help="The endpoint that WEBHOOK_URL names.", no_args_is_help=True)


@app.command()
def status() -> None:
    """Show whether the endpoint is enabled. Ends with status 1 if it is disabled."""
    config = load_or_exit(EndpointSettings)
    with opened(config.database_url) as connection:
        found = disabled.look(connection, str(config.webhook_url))
    typer.echo(f"{config.webhook_url.host}: {_in_words(found)}")
    if found:
        typer.echo("notifier webhook enable: let it be called again")
        raise typer.Exit(1)


@app.command()
def enable() -> None:
    """Let the endpoint be called again, after it answered 410 Gone."""
    config = load_or_exit(EndpointSettings)
    with opened(config.database_url) as connection:
        found = disabled.enable(connection, str(config.webhook_url))
    typer.echo(f"{config.webhook_url.host}: enabled{f'; it was {_in_words(found)}' if found else ' already'}")
    if found:
        since = found.since.isoformat(timespec="seconds")
        typer.echo(f"For the events since then: users-api replay --subscription webhook --since {since}")


@app.command()
def test() -> None:
    """Call the endpoint with a signed message of type `test`, and show its answer. Ends with status 1 unless it is 2xx.

    It is called even if it is disabled.
    """
    config = load_or_exit(WebhookSettings)
    message_id = f"test_{uuid4().hex}"
    began = time.monotonic()
    try:
        answer = open_endpoint(config).call(message_id, trial_message())
    except MessagingError as error:
        raise SystemExit(f"{config.webhook_url.host}: {error}") from None
    body = Hidden().out_of(answer.body)
    typer.echo(f"{config.webhook_url.host}: {answer.status} in {time.monotonic() - began:.2f} s, {message_id} {body}")
    if answer.status not in range(200, 300):
        raise typer.Exit(1)


def _in_words(found: Disabled | None) -> str:
    return f"disabled since {found.since:%Y-%m-%d %H:%M %Z} ({found.reason})" if found else "enabled"
