"""What `make run` shows when everything runs."""

from collections.abc import Sequence
from contextlib import suppress
from io import StringIO
from pathlib import Path

from rich.console import Console
from rich.panel import Panel
from rich.table import Table

from devstack.herald import Herald


def welcome(herald: Herald, crashing: Sequence[str] = ()) -> str:
    """Return a box with the addresses, and below it a command to paste, unwrapped. `crashing`: what doesn't run."""
    rows = Table.grid(padding=(0, 2))
    rows.add_row("Console", f"{herald.local_url}/console")
    rows.add_row("API", herald.local_url)
    rows.add_row("Try it", f"{herald.local_url}/docs")
    rows.add_row("Mails", herald.mailbox_url or _without_password(herald.mail_url))
    rows.add_row("MAIL_URL", _without_password(herald.mail_url))
    if on := [name for name in ("FOLLOW_UP_AFTER", "WEBHOOK_URL", "REPORT_TO") if herald.has(name)]:
        rows.add_row("Also on", f"{', '.join(on)} (docs/effects.md)")
    for name, url in herald.databases.items():
        rows.add_row(f"Database {name}", _without_password(url))
    rows.add_row("Redis", _without_password(herald.redis_url))
    rows.add_row("Stop", "Ctrl-C")
    title = f"Herald runs, but not {', '.join(crashing)}" if crashing else "Herald runs"
    box = _render(Panel(rows, title=title, expand=False))
    return f"{box}Register someone:\n\n{_curl(herald)}\n\n{_commands(herald)}"


def _curl(herald: Herald) -> str:
    body = '{"email":"maya@example.com","full_name":"Maya Chen"}'
    return f"curl -X POST {herald.local_url}/users -H 'content-type: application/json' -d '{body}'"


def _commands(herald: Herald) -> str:
    """Return commands to look behind the scenes, ready to paste."""
    url, programs = {name: _without_password(each) for name, each in herald.databases.items()}, herald.programs
    with suppress(ValueError):
        programs = programs.relative_to(Path.cwd())
    return (
        "See what became of it:\n\n"
        f"curl {herald.local_url}/users/1/deliveries\n"
        f"DATABASE_URL={url['auditor']} {programs}/auditor log --follow\n"
        f"DATABASE_URL={url['users']} {programs}/users-api deliveries list --state succeeded\n"
    )


def _without_password(url: str) -> str:
    """Leave out a password, and all options: one of them may be a password too."""
    scheme, _, rest = url.partition("://")
    account, at, place = rest.rpartition("@")
    user, colon, _ = account.partition(":")
    return f"{scheme}://{user}{colon and ':***'}{at}{place.partition('?')[0]}"


def _render(panel: Panel) -> str:
    text = StringIO()
    Console(file=text, width=110).print(panel)
    return text.getvalue()
