"""`devstack run`, with stubs in the place of Herald's programs."""

import os
import re
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from io import StringIO
from pathlib import Path

import psutil  # type: ignore[import-untyped]  # it has no types of its own
import pytest
from tests.patience import PATIENCE, exists, until

from devstack.errors import DevstackError
from devstack.mailbox import Mailbox
from devstack.ports import free_port, port_is_taken
from devstack.run import require_port
from devstack.terminal import Terminal


def test_a_taken_port_is_told_with_the_remedy(tmp_path: Path) -> None:
    port = free_port()
    assert not port_is_taken(port)
    require_port("127.0.0.1", port)
    box = Mailbox(tmp_path, port)
    box.start()
    try:
        with pytest.raises(DevstackError, match=f"Port {port} is taken .* make run PORT={port + 1}"):
            require_port("127.0.0.1", port)
    finally:
        box.stop()


USERS_API = """#!{python}
import os, sys, time
from http.server import BaseHTTPRequestHandler, HTTPServer
print(sys.argv[1], os.environ["DATABASE_URL"].rpartition("/")[2], os.environ.get("MAILBOX_URL"), flush=True)
class Ready(BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
    def log_message(self, *args):
        pass
if sys.argv[1] == "serve":
    server = HTTPServer((os.environ["HOST"], int(os.environ["PORT"])), Ready)
    print("Uvicorn running on", flush=True)
    server.serve_forever()
if sys.argv[1] == "relay":
    print("relay.started", flush=True)
    time.sleep(600)
"""
MIGRATE = """#!/bin/sh
echo "$@ ${{DATABASE_URL##*/}} $LOG_FORMAT"
"""
DRAMATIQ = """#!{python}
import subprocess, sys, time
subprocess.Popen(["sleep", "600"])
print("worker", *sys.argv[1:], flush=True)
print("Worker process is ready for action.", flush=True)
time.sleep(600)
"""
BROKEN = """#!{python}
import sys, time
if sys.argv[1] == "notifier.worker":
    import nothing_of_this_name
print("Worker process is ready for action.", flush=True)
time.sleep(600)
"""
STUBS = {"users-api": USERS_API, "notifier": MIGRATE, "auditor": MIGRATE, "dramatiq": DRAMATIQ}


class Run:
    """`devstack run` with stubs, below a directory of its own. `environment`: more variables."""

    def __init__(self, here: Path, dramatiq: str = DRAMATIQ, **environment: str) -> None:
        (here / "bin").mkdir(exist_ok=True)
        for name, text in (STUBS | {"dramatiq": dramatiq}).items():
            (here / "bin" / name).write_text(text.format(python=sys.executable))
            (here / "bin" / name).chmod(0o755)
        self.var, self.port, self.output = here / "var", free_port(), here / "output"
        call = f"run('127.0.0.1', {self.port}, Path({str(self.var)!r}), Path({str(here / 'bin')!r}))"
        self._argv = [sys.executable, "-c", f"from pathlib import Path; from devstack.run import run; {call}"]
        servers = ("DATABASE_URL", "REDIS_URL", "MAIL_URL", "SMTP_URL", "MAILBOX_URL", "LOG_LEVEL")
        self._env = {name: value for name, value in os.environ.items() if name not in servers} | environment

    def start(self) -> None:
        with self.output.open("wb") as output:
            # SIGINT as in a terminal: a shell in the background would have it ignored.
            self.process = subprocess.Popen(self._argv, stdout=output, stderr=output, env=self._env)
        self.until_it_says("Herald runs")

    def says(self, text: str) -> bool:
        return text in self.output.read_text()

    def until_it_says(self, text: str) -> None:
        until(lambda: self.says(text) or self.process.poll() is not None)
        assert self.says(text), self.output.read_text()

    @property
    def pids(self) -> set[int]:
        return {child.pid for child in psutil.Process(self.process.pid).children(recursive=True)}

    @property
    def names(self) -> list[str]:
        return [Path(f"/proc/{pid}/comm").read_text().strip() for pid in self.pids]


@contextmanager
def started(run: Run) -> Iterator[Run]:
    try:
        run.start()
        yield run
    finally:
        run.process.kill()
        run.process.wait()


@pytest.fixture
def running(tmp_path: Path) -> Iterator[Run]:
    with started(Run(tmp_path)) as run:
        yield run


def test_run_starts_everything_heals_it_and_ends_it(running: Run) -> None:
    # It says what it does, who speaks and what to do next.
    running.until_it_says("auditor   | worker auditor.worker --processes 1 --threads 8\n")
    said = running.output.read_text()
    assert "users-api | migrate users None\n" in said
    assert "notifier  | migrate notifier console\n" in said
    assert f"curl -X POST http://127.0.0.1:{running.port}/users -H 'content-type: application/json' -d '{{" in said
    urllib.request.urlopen(f"http://127.0.0.1:{running.port}/readyz").close()

    # A second one in the same place is refused.
    second = subprocess.run(running._argv, capture_output=True, text=True, check=False)
    assert "Herald is already running in this checkout" in second.stderr
    assert second.returncode == 1

    # What is killed comes back, its children are gone.
    worker = next(pid for pid in running.pids if "notifier.worker" in Path(f"/proc/{pid}/cmdline").read_text())
    os.kill(worker, signal.SIGKILL)
    running.until_it_says("notifier was killed by SIGKILL; restarting in 1 s\n")
    until(lambda: running.output.read_text().count("worker notifier.worker") == 2)
    assert running.names.count("sleep") == 2

    # Ctrl-C ends all, and reports success.
    pids = running.pids
    assert len(pids) > 10
    running.process.send_signal(signal.SIGINT)
    assert running.process.wait(PATIENCE) == 0
    assert running.says("stopping; press Ctrl-C again to kill\n")
    assert not any(map(exists, pids))

    # The data is still there.
    running.start()
    assert not running.says("creating the databases")

    # When it is killed itself, nothing is left.
    pids = running.pids
    running.process.kill()
    until(lambda: not any(map(exists, pids)))


def test_herald_is_not_called_ready_while_a_process_keeps_crashing(tmp_path: Path) -> None:
    with started(Run(tmp_path, dramatiq=BROKEN)) as run:
        said = run.output.read_text()

    error = "Last error: ModuleNotFoundError: No module named 'nothing_of_this_name' (dramatiq, line 4)"
    alerts = [line.partition(" | ")[2] for line in said.splitlines() if line.startswith("!! ")]
    assert f"notifier exited with status 1; restarting in 1 s. {error}" in alerts
    loop = "notifier keeps crashing: it exited with status 1, 3 times in a row; trying again in 4 s"
    assert f"{loop}. {error}" in alerts
    assert alerts[-1] == "the API is ready, but these keep crashing (see above): notifier"
    assert "Herald runs, but not notifier" in said
    assert "Herald is ready" not in said


def test_the_box_names_the_page_of_the_mails_and_the_api_knows_it(running: Run) -> None:
    page = f"http://127.0.0.1:{(running.var / 'ports' / 'mails').read_text()}"
    running.until_it_says(f"serve users {page}\n")
    running.until_it_says("relay users None\n")
    said = running.output.read_text()
    assert re.search(rf"│ Mails +{page} ", said)
    with urllib.request.urlopen(page) as answer:
        assert "No mails yet" in answer.read().decode()


def test_where_a_mail_server_is_named_there_is_no_mailbox(tmp_path: Path) -> None:
    with started(Run(tmp_path, MAIL_URL="smtp://maya:secret@mail.example.com:25")) as run:
        run.until_it_says("serve users None\n")
        said = run.output.read_text()

    assert "mailbox" not in said
    assert "secret" not in said
    assert not (run.var / "mail").exists()
    assert re.search(r"│ Mails +smtp://maya:\*\*\*@mail\.example\.com:25 ", said)


def test_the_webhook_worker_runs_where_an_endpoint_is_named(tmp_path: Path) -> None:
    with started(Run(tmp_path, WEBHOOK_URL="https://hooks.example.com/s3cret")) as run:
        run.until_it_says("worker notifier.webhooks.worker")

        assert re.search(r"│ Also on +WEBHOOK_URL ", run.output.read_text())
        assert not run.says("s3cret")


class Screen(StringIO):
    """A terminal to write on."""

    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("output", "line"), [(StringIO, "!!   0.0s | no\n"), (Screen, "\x1b[1;31m!!   0.0s | no\x1b[0m\n")]
)
def test_bad_news_stands_out(monkeypatch: pytest.MonkeyPatch, output: type[StringIO], line: str) -> None:
    screen = output()
    monkeypatch.setattr("sys.stdout", screen)
    Terminal().alert("no\nnot at all")
    assert screen.getvalue() == line + line.replace("no", "not at all")
