"""Which migrations exist, and which of them a database lacks. Without Alembic, because serving processes ask too."""

import ast
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib import resources
from typing import Any


@dataclass(frozen=True)
class Revisions:
    """The revisions in the code: `every` one, and the newest, `heads`, which an up-to-date database has."""

    every: frozenset[str]
    heads: frozenset[str]

    def missing(self, applied: set[str]) -> set[str]:
        """Return the heads that a database lacks. One that is newer than the code, in a rolling upgrade, lacks none."""
        return set() if applied - self.every else set(self.heads - applied)


def revisions(packages: Sequence[str]) -> Revisions:
    """Read the revisions in packages, such as `users_api.migrations`. Each package's history must be linear."""
    migrations = [constants for package in packages for constants in _read(package)]
    every = frozenset(constants["revision"] for constants in migrations)
    return Revisions(every, every - {constants["down_revision"] for constants in migrations})


def version_table(service: str) -> str:
    """Name the table that holds the revisions of a service's database."""
    return f"{service}_revision"


def _read(package: str) -> Iterator[dict[str, Any]]:
    """Read the constants of each migration, `revision` and `down_revision` among them, without running it."""
    for source in resources.files(package).iterdir():
        if source.name.endswith(".py") and source.name != "__init__.py":
            yield dict(_constants(ast.parse(source.read_text())))


def _constants(module: ast.Module) -> Iterator[tuple[str, Any]]:
    for statement in module.body:
        match statement:
            case ast.Assign(targets=[ast.Name(id=name)], value=ast.Constant(value=value)):
                yield name, value
