"""`herald` answers at once: a command loads what it needs and nothing else, and the list of commands loads none."""

import re
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest
from typer.core import TyperGroup

from devstack.redis_server import RedisServer
from messaging.process.database import Pool
from users_api.herald.cli import COMMANDS, QUESTIONS

from .herald_cli import PROGRAM, environment, herald
from .searched import write_recent as write
from .users_cli import execute

NEVER = {
    "alembic",
    "dramatiq",
    "email_validator",
    "fastapi",
    "jinja2",
    "sqlalchemy",
    "starlette",
    "typer.testing",
    "uvicorn",
}
"""What no command needs; doctor compares migrations, so it needs Alembic."""

DATABASE = {"contracts", "messaging", "psycopg", "pydantic", "structlog"}


def loaded(*arguments: str, **given: str) -> set[str]:
    """Return the modules that a command has loaded, once it has succeeded."""
    command = [sys.executable, "-X", "importtime", PROGRAM, *arguments]
    done = subprocess.run(
        command, env=environment(**given), stdin=subprocess.DEVNULL, capture_output=True, text=True, check=True
    )
    return set(re.findall(r"^import time: .*\| +([\w.]+)$", done.stderr, re.MULTILINE))


def test_help_loads_no_command() -> None:
    modules = loaded("--help")

    assert "users_api.herald.cli" in modules
    assert modules & (NEVER | DATABASE | {deferred.module for deferred in COMMANDS.values()}) == set()


@pytest.mark.parametrize("command", ["status", "user 1", "deliveries list", "deliveries groups", "operations list"])
def test_a_command_loads_no_web_server_and_into_a_pipe_no_tables(
    command: str, users_database: str, redis_server: RedisServer, users_pool: Pool
) -> None:
    write(users_pool, 1, "failed", "550 no such user")
    execute(users_database, "INSERT INTO users (email, email_key, full_name) VALUES ('a@b', 'a@b', 'A')")

    modules = loaded(*command.split(), DATABASE_URL=users_database, REDIS_URL=redis_server.url)

    assert "psycopg" in modules
    assert modules & (NEVER | {"rich"}) == set()


def test_a_command_loads_no_other_command(users_database: str, users_pool: Pool) -> None:
    modules = loaded("operations", "list", DATABASE_URL=users_database)

    others = {deferred.module for name, deferred in COMMANDS.items() if name != "operations"}
    assert modules & others == set()


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_the_list_says_of_a_command_what_its_help_says(name: str) -> None:
    command = COMMANDS[name].load(name)

    assert COMMANDS[name].summary == " ".join(command.help.split("\n\n")[0].split())
    assert command.name == name


def leaves(command: Any, *path: str) -> Iterator[tuple[str, Any]]:
    """Yield each command that does something, with its name."""
    if isinstance(command, TyperGroup):
        for name, each in command.commands.items():
            yield from leaves(each, *path, name)
    else:
        yield " ".join(path), command


def test_every_command_prints_json_on_request() -> None:
    commands = [each for name in COMMANDS for each in leaves(COMMANDS[name].load(name), name)]

    assert len(commands) > len(COMMANDS)
    assert [name for name, each in commands if not any("--json" in option.opts for option in each.params)] == []


def test_help_answers_the_first_questions_with_commands_that_exist() -> None:
    shown = herald("--help", HERALD_COMMAND="bin/herald").stdout

    for question, command in QUESTIONS.items():
        assert question in shown
        assert f"bin/herald {command}\n" in re.sub(" +\n", "\n", shown)
        arguments = command.replace("12:00", "00:00").split()  # noon may be yet to come
        assert "DATABASE_URL" in herald(*arguments).stderr
