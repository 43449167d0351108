"""What the tests of migrations share: `<service> migrate` as a process, and what it made."""

import os
import subprocess
import sys
from itertools import count
from pathlib import Path
from typing import Any

import psycopg

from devstack.postgres import Postgres

OUTBOX = {"events", "deliveries", "schedule_slots", "delivery_counts", "backlog", "operations", "attempts"}
TABLES = {
    "users-api": {"users", "idempotency_keys", "users_api_revision", *OUTBOX},
    "notifier": {"effects", "suppressions", "webhook_endpoints", "notifier_revision"},
    "auditor": {"audit_log", "audit_seals", "audit_unsealed", "reports", "auditor_revision", *OUTBOX},
}
REVISIONS = {"users_0003", "messaging_0010"}
MIGRATING = "SELECT pid FROM pg_stat_activity WHERE application_name = 'herald-migrate' AND state IS NOT NULL"

Run = subprocess.CompletedProcess[str]
_numbers = count()


def empty_database(postgres: Postgres) -> str:
    """Make a database without any table, and return its URL."""
    name = f"empty_{next(_numbers)}"
    postgres.create_database(name)
    return postgres.url(name)


def run_migrate(url: str, program: str = "users-api") -> Run:
    command = [str(Path(sys.executable).with_name(program)), "migrate"]
    environment = {"PATH": os.environ["PATH"], "DATABASE_URL": url}
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=60)


def succeeded(run: Run) -> bool:
    assert (run.returncode, run.stderr) == (0, "")
    return True


def column(url: str, query: str) -> set[Any]:
    with psycopg.connect(url) as connection:
        return {value for (value,) in connection.execute(query.encode())}


def tables(url: str, schema: str = "public") -> set[str]:
    return column(url, f"SELECT tablename::text FROM pg_tables WHERE schemaname = '{schema}'")
