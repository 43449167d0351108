"""No program prints a secret setting, whatever is wrong with it: one line that names the variable, and status 2."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from devstack.herald import Herald
from devstack.ports import free_port
from devstack.welcome import welcome

GOOD = {
    "DATABASE_URL": f"postgresql://me:s3cret5@127.0.0.1:{free_port()}/users",
    "REDIS_URL": f"redis://:s3cret5@127.0.0.1:{free_port()}/0",
    "MAIL_URL": f"smtp://me:s3cret5@127.0.0.1:{free_port()}",
}
BROKEN = {
    "DATABASE_URL": "postgresql://me:s3cr/et5@127.0.0.1/users",
    "REDIS_URL": "redis://:s3cr/et5@127.0.0.1:6379/0",
    "MAIL_URL": "smtp://me:s3cr/et5@127.0.0.1",
    "WEBHOOK_URL": "https://me:s3cr/et5@127.0.0.1/s3cret5",
    "WEBHOOK_SECRET": "whsec_s3cret5",
}
COMMANDS = {
    "users-api serve": {"DATABASE_URL"},
    "users-api relay": {"DATABASE_URL", "REDIS_URL"},
    "users-api migrate": {"DATABASE_URL"},
    "users-api deliveries list": {"DATABASE_URL"},
    "users-api deliveries retry 6f1c54ec-5b57-4a6c-8a0a-0d2e4f3c9d10 audit_log": {"DATABASE_URL"},
    "users-api replay --subscription=audit_log --since=2026-01-01": {"DATABASE_URL"},
    "notifier migrate": {"DATABASE_URL"},
    "dramatiq notifier.worker --processes=1": {"DATABASE_URL", "REDIS_URL", "MAIL_URL"},
    "dramatiq notifier.webhooks.worker --processes=1": {"DATABASE_URL", "REDIS_URL", "WEBHOOK_URL", "WEBHOOK_SECRET"},
    "notifier webhook status": {"DATABASE_URL", "WEBHOOK_URL"},
    "notifier webhook test": {"WEBHOOK_URL", "WEBHOOK_SECRET"},
    "auditor migrate": {"DATABASE_URL"},
    "auditor log": {"DATABASE_URL"},
    "auditor log --follow": {"DATABASE_URL"},
    "auditor verify": {"DATABASE_URL"},
    "auditor export": {"DATABASE_URL"},
    "auditor erase --user=7": {"DATABASE_URL"},
    "dramatiq auditor.worker --processes=1": {"DATABASE_URL", "REDIS_URL"},
    "python -m messaging.health relay": {"REDIS_URL"},
    "devstack run": {"DATABASE_URL", "REDIS_URL", "MAIL_URL"},
}


def run(command: str, environment: dict[str, str], directory: Path) -> subprocess.CompletedProcess[str]:
    program, *arguments = command.split()
    argv = [str(Path(sys.executable).with_name(program)), *arguments]
    given = {"PATH": os.environ["PATH"], "PORT": str(free_port()), **environment}
    return subprocess.run(argv, env=given, cwd=directory, capture_output=True, text=True, check=False, timeout=60)


@pytest.mark.parametrize(("command", "variables"), COMMANDS.items())
def test_each_program_refuses_broken_urls_in_one_line_that_repeats_nothing_of_them(
    command: str, variables: set[str], tmp_path: Path
) -> None:
    ended = run(command, BROKEN, tmp_path)

    said = ended.stdout + ended.stderr
    assert ended.returncode == 2, said
    [line] = [line for line in said.splitlines() if "configuration: " in line]
    assert all(variable in line for variable in variables)
    assert "s3cr" not in said
    assert "et5" not in said
    assert "Traceback" not in said


@pytest.mark.parametrize(
    "command",
    ["users-api migrate", "users-api deliveries list", "auditor log", "python -m messaging.health relay"],
)
def test_a_command_that_reaches_nothing_says_so_without_the_secret(command: str, tmp_path: Path) -> None:
    ended = run(command, GOOD, tmp_path)

    assert ended.returncode == 1
    assert "s3cr" not in ended.stdout + ended.stderr
    assert "Traceback" not in ended.stderr


def test_the_box_of_make_run_shows_no_password() -> None:
    databases = dict.fromkeys(("users", "notifier", "auditor"), "postgresql://me:a:s3cr#et5@db/users?password=s3cret5")
    box = welcome(Herald(databases, "redis://:s3cr@et5@cache", "smtp://me:s3cr:et5@mail", 8000), "bin/herald")

    assert "s3cr" not in box
    assert "et5" not in box
    assert "postgresql://me:***@db/users" in box
