"""`make run` as a newcomer meets it: the real programs and servers, all in one terminal."""

import os
import re
import signal
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from tests.patience import PATIENCE

from devstack.ports import free_port
from devstack.programs import program

SERVERS = {"DATABASE_URL", "REDIS_URL", "MAIL_URL", "SMTP_URL", "MAILBOX_URL", "LOG_LEVEL", "LOG_FORMAT"}


class MakeRun:
    """`devstack run`, and what it prints."""

    def __init__(self, here: Path) -> None:
        self.var, self.output = here / "var", here / "output"
        self.url = f"http://127.0.0.1:{(port := free_port())}"
        environment = {name: value for name, value in os.environ.items() if name not in SERVERS}
        with self.output.open("wb") as output:
            self.process = subprocess.Popen(
                [program("devstack"), "run", "--dir", str(self.var), "--port", str(port)],
                stdout=output,
                stderr=output,
                env=environment,
            )

    @property
    def lines(self) -> list[str]:
        return self.output.read_text().splitlines()

    def until_said(self, text: str) -> None:
        deadline = time.monotonic() + 2 * PATIENCE
        while not any(text in line for line in self.lines):
            assert time.monotonic() < deadline, self.output.read_text()
            assert self.process.poll() is None, self.output.read_text()
            time.sleep(0.1)

    def register(self, email: str, full_name: str) -> str:
        """Register someone, and return the correlation id when every effect has succeeded."""
        answer = httpx.post(f"{self.url}/users", json={"email": email, "full_name": full_name}, timeout=PATIENCE)
        address = f"{self.url}/users/{answer.raise_for_status().json()['id']}/deliveries"
        deadline = time.monotonic() + PATIENCE
        while {each["state"] for each in httpx.get(address, timeout=PATIENCE).json()["deliveries"]} != {"succeeded"}:
            assert time.monotonic() < deadline, self.output.read_text()
            time.sleep(0.1)
        return str(answer.headers["X-Correlation-ID"])

    def stop(self) -> None:
        """Press Ctrl-C, and wait until everything has been printed."""
        self.process.send_signal(signal.SIGINT)
        assert self.process.wait(PATIENCE) == 0


@pytest.fixture
def make_run(tmp_path: Path) -> Iterator[MakeRun]:
    running = MakeRun(tmp_path)
    yield running
    running.process.kill()
    running.process.wait()


def test_a_registration_is_one_line_and_each_effect_one_and_the_mail_is_on_its_page(make_run: MakeRun) -> None:
    make_run.until_said("DATABASE_URL=")  # the commands below the box
    before = len(make_run.lines)

    correlation_id = make_run.register("ada@example.com", "Ada Lovelace")
    herald = [str(make_run.var.parent / "bin" / "herald"), "user", "ada@example.com"]
    time_line = subprocess.run(herald, capture_output=True, text=True, check=True).stdout
    page = f"http://127.0.0.1:{(make_run.var / 'ports' / 'mails').read_text()}"
    with urllib.request.urlopen(page) as answer:
        mails = answer.read().decode()
    make_run.stop()

    said = make_run.lines[before:]
    said = [line for line in said[: said.index(next(line for line in said if "stopping;" in line))] if " | " in line]
    assert sorted(line.split()[0] for line in said) == ["auditor", "notifier", "users-api"], said
    assert all(correlation_id in line for line in said)
    assert len(set(re.findall(r"[0-9a-f]{8}-[0-9a-f-]{27}", "\n".join(said)))) == 1, "the event's id"
    assert not re.search("lovelace|ada@", "\n".join(said), re.IGNORECASE), "no address and no name at INFO"
    assert time_line.count("succeeded") == 2
    assert "Welcome, Ada Lovelace" in mails
    assert "ada@example.com" in mails


@pytest.mark.parametrize(
    ("name", "value", "by"),
    [
        ("MAX_CONNECTIONS", "abc", "users-api"),
        ("NOTIFIER_UNCERTAIN", "maybe", "notifier"),
        ("LOG_LEVEL", "loud", "users-api"),
    ],
)
def test_a_setting_that_lets_a_program_not_run_ends_it_with_status_2(
    tmp_path: Path, name: str, value: str, by: str
) -> None:
    environment = {key: text for key, text in os.environ.items() if key not in SERVERS} | {name: value}
    argv = [program("devstack"), "run", "--port", str(free_port()), "--dir", str(tmp_path / "var")]
    ended = subprocess.run(argv, env=environment, capture_output=True, text=True, timeout=120, check=False)

    assert ended.returncode == 2
    assert ended.stderr.splitlines()[-1].startswith(f"error: {by}: {name}: ")
