"""What the tests of the audit log's chain share: rows, seals, commands, and an attacker with every right."""

import os
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import psycopg
from tests.conftest import user_registered

from auditor.chain.checkpoints import Checkpoint
from auditor.chain.findings import Verified
from auditor.chain.sealing import try_seal
from auditor.chain.verifying import verify
from auditor.handlers import record
from devstack.programs import program
from messaging.process.database import connect


@dataclass
class Audit:
    """An auditor's database."""

    url: str

    def write(self, *numbers: int) -> None:
        """Record the registrations of these users in one statement, with ids in this order."""
        events = [user_registered(number) for number in numbers]
        ids = sorted(event.id for event in events)  # those of one millisecond are in no order
        with self.connection() as connection:
            record(connection, [event.model_copy(update={"id": each}) for event, each in zip(events, ids, strict=True)])

    def seal(self) -> None:
        """Seal everything that waits."""
        with self.connection() as connection:
            while try_seal(connection):
                pass

    def write_sealed(self, *groups: Sequence[int]) -> None:
        """Record groups of registrations, each with a seal of its own."""
        for group in groups:
            self.write(*group)
            self.seal()

    def verify(self, checkpoints: Sequence[Checkpoint] | None = None) -> Verified:
        with self.connection() as connection:
            return verify(connection, checkpoints, lambda _: None)

    def query(self, statement: str, values: Any = None) -> list[tuple[Any, ...]]:
        with self.connection() as connection:
            return connection.execute(statement.encode(), values).fetchall()

    def tamper(self, *statements: str) -> None:
        """Change the database as its superuser, with every trigger off."""
        with self.connection() as connection:
            connection.execute("SET session_replication_role = replica")
            for statement in statements:
                assert connection.execute(statement.encode()).rowcount, "nothing was changed"

    def run(self, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        """Run the auditor's command line."""
        given = {**os.environ, "DATABASE_URL": self.url, **environment}
        argv = [program("auditor"), *arguments]
        return subprocess.run(argv, env=given, capture_output=True, text=True, check=False, timeout=60)

    @contextmanager
    def connection(self) -> Iterator[psycopg.Connection[Any]]:
        with connect(self.url, name="test") as opened:
            yield opened
