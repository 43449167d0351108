"""Commands that are imported only when they run, so that a command pays for itself alone, and `--help` for none."""

from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import Any

import typer
from typer.core import TyperGroup
from typer.main import get_group


@dataclass(frozen=True)
class Deferred:
    """A command, or a group of commands (a Typer), that a module has.

    `summary`: the first sentence of its help, which the list of commands shows.
    """

    module: str
    attribute: str
    summary: str

    def load(self, name: str) -> Any:
        """Import the command and return it."""
        loaded = getattr(import_module(self.module), self.attribute)
        app = typer.Typer()
        if isinstance(loaded, typer.Typer):
            app.add_typer(loaded, name=name)
        else:
            app.command(name)(loaded)
        return get_group(app).commands[name]


def group(commands: Mapping[str, Deferred], **options: Any) -> typer.Typer:
    """Return a Typer with these commands. `options`: of the Typer."""

    class Group(TyperGroup):
        def resolve_command(self, ctx: Any, args: list[str]) -> Any:
            name, command, rest = super().resolve_command(ctx, args)
            return name, command and commands[command.name or ""].load(command.name or ""), rest

    app = typer.Typer(cls=Group, **options)
    for name, deferred in commands.items():
        app.command(name, help=deferred.summary)(_not_loaded)
    return app


def _not_loaded() -> None:
    """Stand for a command in the list of commands."""
