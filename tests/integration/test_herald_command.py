"""`bin/herald`, which `make run` leaves: on the servers that run, and on nothing else."""

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from devstack.herald import Herald
from devstack.herald_command import HeraldCommand

STUB = """#!{python}
import os, sys
print(*(os.environ.get(name) for name in sys.argv[1:]))
"""
NAMES = ["DATABASE_URL", "REDIS_URL", "MAIL_URL", "WEBHOOK_URL", "HERALD_COMMAND"]


@pytest.fixture
def command(tmp_path: Path) -> HeraldCommand:
    return HeraldCommand(tmp_path / "var")


@pytest.fixture
def herald(tmp_path: Path) -> Herald:
    """A Herald whose `herald` prints variables of its environment."""
    program = tmp_path / "a venv" / "herald"
    program.parent.mkdir()
    program.write_text(STUB.format(python=sys.executable))
    program.chmod(0o755)
    databases = {"users": "postgresql://me:a$b'c@db/users", "notifier": "x", "auditor": "x"}
    return Herald(databases, "redis://cache", "smtp://mail", 8000, programs=program.parent)


def run(command: HeraldCommand, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    given = {"PATH": os.environ["PATH"], **environment}
    return subprocess.run([command.path, *arguments], env=given, capture_output=True, text=True, check=False)


def test_it_knows_the_servers(command: HeraldCommand, herald: Herald, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WEBHOOK_URL", "https://hook.example.com/s3 cret")
    command.connect(herald)

    shown = run(command, *NAMES, DATABASE_URL="postgresql://another").stdout

    known = (
        f"postgresql://me:a$b'c@db/users redis://cache smtp://mail https://hook.example.com/s3 cret {command.path}\n"
    )
    assert shown == known


def test_what_nothing_turns_on_is_off(command: HeraldCommand, herald: Herald, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("WEBHOOK_URL", raising=False)
    command.connect(herald)
    assert run(command, "WEBHOOK_URL").stdout == "None\n"


def test_only_its_owner_may_read_it(command: HeraldCommand, herald: Herald) -> None:
    command.connect(herald)
    assert stat.S_IMODE(command.path.stat().st_mode) == 0o700


def test_it_is_named_as_in_the_current_directory(command: HeraldCommand, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(command.path.parents[1])
    assert command.shown == "bin/herald"


def test_when_all_has_stopped_it_says_so_and_has_no_password(command: HeraldCommand, herald: Herald) -> None:
    command.connect(herald)
    command.disconnect()

    ended = run(command, "DATABASE_URL")

    assert (ended.returncode, ended.stdout) == (1, "")
    assert ended.stderr == "Herald doesn't run here. Start it: make run\n"
    assert "a$b" not in command.path.read_text()


def test_when_its_owner_was_killed_it_says_so(command: HeraldCommand, herald: Herald) -> None:
    command.connect(herald)
    ended = subprocess.Popen(["true"])
    ended.wait()
    text = command.path.read_text()
    command.path.write_text(text.replace(f"kill -0 {os.getpid()} ", f"kill -0 {ended.pid} "))

    assert run(command, "DATABASE_URL").stderr == "Herald doesn't run here any more. Start it: make run\n"


def test_what_was_never_written_is_not_written_at_the_end(command: HeraldCommand) -> None:
    command.disconnect()
    assert not command.path.exists()
