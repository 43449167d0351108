"""docs/command-line.md: each command is executed, in its order, and does what the page says."""

import re
import shlex
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest
from tests.patience import until

from contracts import AUDIT_LOG, WELCOME_EMAIL
from devstack.mailbox import Mailbox
from devstack.redis_server import RedisServer
from messaging.process.database import Pool

from .herald_cli import herald
from .searched import write_recent as write
from .users_cli import execute

PAGE = Path(__file__).parents[2] / "docs/command-line.md"
STATES = {"cancel": "pending", "confirm": "uncertain"}
"""In which state Maya's delivery has to be for a command; for any other it failed."""

_BLOCK = re.compile(r"^```sh\n(.*?)^```$", re.DOTALL | re.MULTILINE)


def commands(text: str) -> list[str]:
    return [line for block in _BLOCK.findall(text) for line in block.splitlines()]


@pytest.fixture
def given(users_database: str, users_pool: Pool, redis_server: RedisServer) -> dict[str, str]:
    """The environment of the commands. Maya's mail failed now, and so did another one, an hour after the events."""
    execute(
        users_database,
        "INSERT INTO users (id, email, email_key, full_name) OVERRIDING SYSTEM VALUE"
        " VALUES (1, 'maya@example.com', 'maya@example.com', 'Maya Chen')",
    )
    for user in (1, 2):
        error = f"550 user{user}@example.com: no such user"
        write(users_pool, user, "failed", error, subscription="welcome_email", ago=timedelta(hours=1))
    return {"DATABASE_URL": users_database, "REDIS_URL": redis_server.url}


@pytest.mark.usefixtures("running_relay")
def test_the_commands_of_the_page_succeed_in_their_order(
    given: dict[str, str], consume: Callable[..., None], tmp_path: Path
) -> None:
    consume(AUDIT_LOG, lambda event: None)
    box = Mailbox(tmp_path)
    box.start()
    given["MAIL_URL"] = box.url
    shown: dict[str, str] = {}
    try:
        for command in commands(PAGE.read_text()):
            if command == "herald doctor":  # nothing takes mails before
                consume(WELCOME_EMAIL, _refuse)
                until(lambda: herald("doctor", **given).returncode == 0)
            if "EVENT" in command:
                state = next((state for word, state in STATES.items() if f" {word} " in command), "failed")
                _restore(given, state)
            shown[command] = _run(command, given)
    finally:
        box.stop()

    assert len(shown) > 12
    groups, listed = (said for command, said in shown.items() if "--finished-since 10m" in command)
    assert groups.splitlines()[1].startswith("2\twelcome_email\t2 failed")
    assert listed.count("\tfailed\t") == 2
    assert "maya" not in shown["herald user maya@example.com"]
    assert "no such user" in shown["herald user maya@example.com"]
    counted, moved = (said for command, said in shown.items() if "--finished-since 12:00" in command)
    assert counted.startswith("2 deliveries can be retried")
    assert "2 of 2 moved" in moved


def _refuse(event: object) -> None:
    raise AssertionError


def _restore(given: dict[str, str], state: str) -> None:
    """Let Maya's delivery be in the state that a command is for."""
    execute(
        given["DATABASE_URL"],
        "UPDATE deliveries SET state = %s, due_at = CASE %s WHEN 'pending' THEN now() + interval '1 hour' END,"
        " lease_until = NULL, finished_at = CASE WHEN %s IN ('failed', 'uncertain') THEN now() END"
        " WHERE subscription = 'welcome_email'",
        *(state, state, state),
    )


def _run(command: str, given: dict[str, str]) -> str:
    """Run a command as of the page. Noon may be yet to come, so midnight stands for it."""
    [event] = execute(given["DATABASE_URL"], "SELECT id FROM events WHERE subject = 'users/1'")
    text = command.replace("EVENT", str(event["id"])).replace("12:00", "00:00")
    program, *arguments = shlex.split(text, comments=True)
    assert program == "herald"
    run = herald(*arguments, **given)
    assert run.returncode == 0, f"{command}: {run.stdout}{run.stderr}"
    return run.stdout + run.stderr
