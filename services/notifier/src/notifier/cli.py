"""The notifier's command line."""

import typer

from messaging.process.migrate import migrate_command

app = typer.Typer(
    help="Sends the welcome email. The consumer itself runs as: dramatiq notifier.worker", no_args_is_help=True
)

MIGRATIONS = ("messaging.effects.migrations", "notifier.migrations")


@app.callback()
def main() -> None:
    """Sends the welcome email. The consumer itself runs as: dramatiq notifier.worker."""


@app.command()
def migrate() -> None:
    """Bring the notifier's database (DATABASE_URL) up to date."""
    migrate_command("notifier", MIGRATIONS)
