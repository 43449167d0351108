"""What is kept running, and what is said about it when it ends. Real processes; the supervisor's clock is turned by
hand.
"""

import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
from tests.patience import PATIENCE, until

from devstack.errors import Misconfigured
from devstack.exits import ending, last_error
from devstack.processes import Process
from devstack.supervisor import Supervisor


class World:
    """A supervisor of one process, a clock, and what is said."""

    def __init__(self) -> None:
        self.now = 100.0
        self.notes: list[str] = []
        self.alerts: list[str] = []
        self.supervisor = Supervisor(self.notes.append, self.alerts.append)

    def start(self, code: str, ready: str = "") -> None:
        self.process = Process("notifier", [sys.executable, "-c", code], output=lambda line: None, ready=ready)
        self.supervisor.start([self.process])

    def notice_end(self) -> str:
        """Let the process end, and return what is said about that."""
        self.process.wait(PATIENCE)
        self.supervisor.look()
        return self.alerts[-1]

    def pass_time(self, seconds: float) -> None:
        self.now += seconds
        self.supervisor.look()


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    made = World()
    monkeypatch.setattr("devstack.supervisor.time", SimpleNamespace(monotonic=lambda: made.now))
    yield made
    made.supervisor.stop()


def test_what_is_killed_is_started_again(world: World) -> None:
    world.start("import time; print('an old error: no matter', flush=True); time.sleep(60)")
    first = world.process.pid
    until(lambda: world.process.last_lines)

    world.process.send(signal.SIGKILL)

    assert world.notice_end() == "notifier was killed by SIGKILL; restarting in 1 s", "it printed no error about that"
    world.pass_time(0.9)
    assert not world.process.running
    world.pass_time(0.1)
    assert world.process.running
    assert world.process.pid != first
    world.pass_time(9.9)
    assert world.notes == []
    world.pass_time(0.1)
    world.pass_time(0.1)
    assert world.notes == ["notifier is running again"], "once"
    world.supervisor.stop()
    assert not world.process.running


def test_what_keeps_crashing_is_said_with_its_last_error_until_it_runs_again(world: World, tmp_path: Path) -> None:
    (tmp_path / "fault").touch()
    world.start(f"import os, time; 1 / (not os.path.exists({str(tmp_path / 'fault')!r})); time.sleep(60)")
    said: list[str] = []
    for pause in (1, 2, 4, 8):
        assert world.supervisor.undecided == (len(said) < 3)
        said.append(world.notice_end())
        world.pass_time(pause)

    error = "Last error: ZeroDivisionError: division by zero (<string>, line 1)"
    loop = "notifier keeps crashing: it exited with status 1, {} times in a row; trying again in {} s. " + error
    assert said == [
        f"notifier exited with status 1; restarting in 1 s. {error}",
        f"notifier exited with status 1; restarting in 2 s. {error}",
        loop.format(3, 4),
        loop.format(4, 8),
    ]
    assert world.supervisor.crashing == ["notifier"]

    world.notice_end()
    (tmp_path / "fault").unlink()
    world.pass_time(16)
    world.pass_time(10)
    assert world.notes == ["notifier is running again"]
    assert not world.supervisor.crashing
    assert not world.supervisor.undecided


STALE = """
import signal, sys
def end(*_):
    {last}
    sys.exit(1)
signal.signal(signal.SIGTERM, end)
print("Traceback (most recent call last):\\n  File 'a.py', line 1\\nKeyError: 'old'", flush=True)
while True:
    signal.pause()
"""


@pytest.mark.parametrize(
    ("last", "said"),
    [("print('[CRITICAL] Worker with PID 7 exited')", ". Last error: [CRITICAL] Worker with PID 7 exited"), ("", "")],
)
def test_an_error_from_long_before_the_end_is_not_its_reason(
    world: World, monkeypatch: pytest.MonkeyPatch, last: str, said: str
) -> None:
    monkeypatch.setattr("devstack.processes.time", SimpleNamespace(monotonic=lambda: world.now, sleep=time.sleep))
    world.start(STALE.format(last=last))
    until(lambda: world.process.last_lines[-1:] == ["KeyError: 'old'"])

    world.pass_time(400)
    world.process.send(signal.SIGTERM)

    assert world.notice_end() == f"notifier exited with status 1; restarting in 1 s{said}"


def test_crashes_that_are_a_minute_apart_are_no_loop(world: World) -> None:
    world.start("import time; time.sleep(60)")
    for _ in range(4):
        world.pass_time(61)
        world.process.send(signal.SIGTERM)
        assert world.notice_end() == "notifier was killed by SIGTERM; restarting in 1 s"
        world.pass_time(1)


def test_what_its_settings_do_not_let_run_is_not_started_again(world: World) -> None:
    said = "configuration: MAIL_FROM: not an address"
    world.start(f"import sys; print({said!r}); print('CRITICAL: a worker has exited'); sys.exit(2)")
    world.process.wait(PATIENCE)

    with pytest.raises(Misconfigured, match="notifier: MAIL_FROM: not an address"):
        world.supervisor.look()


def test_what_can_not_be_started_again_is_tried_again(world: World, tmp_path: Path) -> None:
    program = tmp_path / "program"
    program.write_text("#!/bin/sh\necho FATAL: no disk\nexit 3\n")
    program.chmod(0o755)
    world.process = Process("notifier", [str(program)], output=lambda line: None)
    world.supervisor.start([world.process])
    assert world.notice_end() == "notifier exited with status 3; restarting in 1 s. Last error: FATAL: no disk"

    program.unlink()
    world.pass_time(1)

    assert world.alerts[1].startswith("notifier could not be started; restarting in 2 s. Last error: [Errno 2] No such")


def test_what_says_that_it_is_ready_is_waited_for_and_what_says_nothing_for_a_while(world: World) -> None:
    world.start("import time; time.sleep(60)", ready="ready")
    assert world.supervisor.undecided
    world.pass_time(5)
    assert not world.supervisor.undecided

    world.supervisor.stop()
    world.start("import time; print('now ready', flush=True); time.sleep(60)", ready="ready")
    until(lambda: not world.supervisor.undecided)


def test_the_last_error_of_a_server_with_a_log_is_of_this_run(tmp_path: Path) -> None:
    log = tmp_path / "server.log"
    log.write_text("FATAL: of another run\n")
    process = Process("server", [sys.executable, "-c", "print('x' * 9_000_000); print('LOG: fine')"], output=log)
    process.start()
    process.wait(PATIENCE)
    assert last_error(process.last_lines) == "LOG: fine"


TRACEBACK = """
Traceback (most recent call last):
  File "a.py", line 1, in <module>
    import nothing
{}

During handling of the above exception, another exception occurred:

Traceback (most recent call last):
  File "b.py", line 2, in <module>
    raise Broken()
{}
[CRITICAL] Worker with PID 7 exited unexpectedly (code 1). Shutting down...
"""


@pytest.mark.parametrize(
    ("output", "error"),
    [
        (
            TRACEBACK.format("ModuleNotFoundError: no", "app.errors.Broken: yes"),
            "app.errors.Broken: yes (b.py, line 2)",
        ),
        (TRACEBACK.format("KeyError: 'a'", "Broken"), "Broken (b.py, line 2)"),
        (
            '  File "a.py", line 1\n    def f(:\n          ^\nSyntaxError: invalid syntax\n',
            "SyntaxError: invalid syntax (a.py, line 1)",
        ),
        ("configuration: SMTP_URL: no host.\ngood bye\n", "configuration: SMTP_URL: no host."),
        ("LOG: starting\nFATAL: no disk\nLOG: stopping\n", "FATAL: no disk"),
        ("just\nthis\n\n", "this"),
        ("an error: " + "x" * 1_000, "an error: " + "x" * 290 + " ..."),
        ("", ""),
        ("   \n\n", ""),
    ],
)
def test_the_last_error_is_found_in_the_output(output: str, error: str) -> None:
    assert last_error(output.splitlines()) == error


@pytest.mark.parametrize(
    ("status", "words"),
    [
        (0, "exited with status 0"),
        (2, "exited with status 2"),
        (-9, "was killed by SIGKILL"),
        (-99, "was killed by signal 99"),
        (None, "ended"),
    ],
)
def test_an_exit_status_in_words(status: int | None, words: str) -> None:
    assert ending(status) == words


def test_what_is_halted_stays_ended_until_it_is_resumed(world: World) -> None:
    world.start("import time; time.sleep(60)")

    world.supervisor.halt("notifier")
    world.pass_time(1000)
    assert not world.process.running
    assert world.alerts == []

    world.supervisor.resume("notifier")
    assert world.process.running


def test_what_the_supervisor_kills_has_crashed(world: World) -> None:
    world.start("import time; time.sleep(60)")

    world.supervisor.kill("notifier")

    assert world.notice_end() == "notifier was killed by SIGKILL; restarting in 1 s"
    world.pass_time(1.1)
    assert world.process.running
