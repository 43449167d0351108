"""Which migrations there are, and which of them a database lacks. Without Alembic: serving processes ask too."""

import ast
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib import resources
from typing import Any


@dataclass(frozen=True)
class Revisions:
    """What the code knows: every revision, and the newest ones, which an up-to-date database has."""

    known: frozenset[str]
    heads: frozenset[str]

    def missing(self, applied: set[str]) -> set[str]:
        """Return what a database lacks. One that is newer than the code, as in a rolling upgrade, lacks nothing."""
        return set() if applied - self.known else set(self.heads - applied)


def revisions(packages: Sequence[str]) -> Revisions:
    """Read which revisions the packages hold, such as `users_api.migrations`; each history is one line."""
    found = [names for package in packages for names in _read(package)]
    known = frozenset(names["revision"] for names in found)
    return Revisions(known, known - {names["down_revision"] for names in found})


def version_table(service: str) -> str:
    """Name the table that says which revisions a service's database has."""
    return f"{service}_revision"


def _read(package: str) -> Iterator[dict[str, Any]]:
    """Read what each migration calls itself and what is before it, without running it."""
    for source in resources.files(package).iterdir():
        if source.name.endswith(".py") and source.name != "__init__.py":
            yield dict(_constants(ast.parse(source.read_text())))


def _constants(module: ast.Module) -> Iterator[tuple[str, Any]]:
    for statement in module.body:
        match statement:
            case ast.Assign(targets=[ast.Name(id=name)], value=ast.Constant(value=value)):
                yield name, value
