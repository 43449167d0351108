"""The notifier's command line."""

from email.utils import parseaddr
from pathlib import Path
from typing import Annotated

import typer

from notifier.commands import suppressions, uncertain
from notifier.webhooks.commands import app as webhooks

app = typer.Typer(
    help="Sends mails and calls a webhook. The consumers run as: dramatiq notifier.worker, and dramatiq "
    "notifier.webhooks.worker",
    no_args_is_help=True,
)
app.add_typer(suppressions.app, name="suppressions")
app.add_typer(uncertain.app, name="uncertain")
app.add_typer(webhooks, name="webhook")
MIGRATIONS = ("messaging.effects.migrations", "notifier.migrations")

To = Annotated[str, typer.Option(help='The recipient: "Maya Chen <maya@example.com>"')]


@app.command()
def migrate() -> None:
    """Bring the notifier's database (DATABASE_URL) up to date."""
    from messaging.process.migrate import migrate_command

    migrate_command("notifier", MIGRATIONS)


@app.command()
def preview(
    template: Annotated[str, typer.Argument(help="The mail's template, such as: welcome")],
    to: To,
    out: Annotated[Path, typer.Option(help="The folder for TEMPLATE.html and TEMPLATE.txt.")] = Path("preview"),
    variables: Annotated[list[str] | None, typer.Option("--set", help="One more variable: NAME=VALUE")] = None,
) -> None:
    """Write a mail as HTML and as text, to be looked at. Needs no server and no setting."""
    from jinja2 import UndefinedError

    from notifier.mail import render, templates

    if template not in templates():
        raise typer.BadParameter(f"there is no template {template!r}, only: {', '.join(templates())}")
    full_name, email = _recipient(to)
    values = {"full_name": full_name, "email": email} | dict(each.partition("=")[::2] for each in variables or ())
    try:
        subject, text, html = render(template, **values)
    except UndefinedError as error:
        raise typer.BadParameter(f"{error.message}; give it with --set NAME=VALUE") from None
    out.mkdir(parents=True, exist_ok=True)
    (out / f"{template}.html").write_text(html, encoding="utf-8")
    (out / f"{template}.txt").write_text(text, encoding="utf-8")
    typer.echo(f"Subject: {subject}\n{out / template}.html\n{out / template}.txt")


@app.command()
def send_test(to: To) -> None:
    """Send one welcome email by MAIL_URL and print the provider's answer. Needs only MAIL_URL and MAIL_FROM."""
    from notifier.commands.send_test import send

    send(*_recipient(to))


def _recipient(to: str) -> tuple[str, str]:
    full_name, email = parseaddr(to)
    if not full_name or "@" not in email:
        raise typer.BadParameter('write the recipient as "Maya Chen <maya@example.com>"', param_hint="--to")
    return full_name, email
