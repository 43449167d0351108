"""`devstack run`: everything, from nothing, until Ctrl-C. Read `run` as a table of contents."""

import time
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from urllib.error import URLError

from devstack.errors import DevstackError, Misconfigured, PortTaken
from devstack.exits import wrong_setting
from devstack.herald import Command, Herald
from devstack.herald_command import HeraldCommand
from devstack.lock import Lock
from devstack.ports import port_is_taken
from devstack.processes import Process
from devstack.programs import PROGRAMS
from devstack.shutdown import Shutdown, Stopped
from devstack.stack import Stack
from devstack.supervisor import Supervisor
from devstack.terminal import Terminal
from devstack.welcome import welcome

READY_TIMEOUT = 60.0
REPORT_EVERY = 5.0


@dataclass(frozen=True)
class Scene:
    """Everything, running. `command`: `bin/herald`."""

    herald: Herald
    supervisor: Supervisor
    terminal: Terminal
    shutdown: Shutdown
    command: HeraldCommand

    def pause(self, seconds: float) -> None:
        """Wait, and restart what has died meanwhile; Stopped when a signal has come."""
        deadline = time.monotonic() + seconds
        while (left := deadline - time.monotonic()) > 0:
            self.shutdown.pause(min(left, 0.2))
            self.supervisor.look()


def until_stopped(scene: Scene) -> None:
    """Show what runs, and keep it running."""
    scene.terminal.show(welcome(scene.herald, scene.command.shown, scene.supervisor.crashing))
    while True:
        scene.pause(60)


def run(  # noqa: PLR0913  # each is named where it is called
    host: str,
    port: int,
    var: Path,
    programs: Path = PROGRAMS,
    *,
    terminal: Terminal | None = None,
    story: Callable[[Scene], None] = until_stopped,
    goal: str = "run",
) -> None:
    """Run everything until a signal comes, or `story` ends; DevstackError when it can't be started.

    `programs` is the directory of Herald's own. `goal`: the target of `make` that this is.
    """
    terminal, shutdown, lock = terminal or Terminal(), Shutdown(), Lock(var / "run.lock")
    supervisor, command = Supervisor(terminal.progress, terminal.alert), HeraldCommand(var)
    lock.take("Herald is already running in this checkout. Stop it first, with Ctrl-C in its terminal.")
    try:
        require_port(host, port, goal)
        terminal.progress("starting Herald ...")
        herald = Stack(var, supervisor, terminal).start(host, port, programs)
        migrate(herald.migrations(), terminal, shutdown)
        supervisor.start([_process(each, terminal) for each in herald.processes()])
        wait_until_ready(herald, supervisor, terminal, shutdown)
        command.connect(herald)
        story(Scene(herald, supervisor, terminal, shutdown, command))
    except Stopped:
        terminal.progress("stopping; press Ctrl-C again to kill")
    finally:
        command.disconnect()
        supervisor.stop()
        lock.free()
    terminal.progress("stopped")


def require_port(host: str, port: int, goal: str = "run") -> None:
    """Raise PortTaken, with what to do, when the API could not listen. `goal`: the target of `make`."""
    try:
        taken = port_is_taken(port, host)
    except OSError as error:
        raise PortTaken(f"Can't listen on {host}:{port}: {error.strerror}. Try: make {goal} PORT=8001") from None
    if taken:
        other = 8001 if port == 8000 else port + 1  # noqa: PLR2004  # the default
        raise PortTaken(f"Port {port} is taken by another program. Use another: make {goal} PORT={other}")


def migrate(commands: list[Command], terminal: Terminal, shutdown: Shutdown) -> None:
    """Run migrations, all at the same time; DevstackError when one fails, Misconfigured when its settings are wrong."""
    processes = [_process(command, terminal) for command in commands]
    try:
        for process in processes:
            process.start()
        while any(process.running for process in processes):
            shutdown.pause(0.02)
    finally:
        for process in processes:
            process.kill()
    for process in processes:
        if fault := wrong_setting(process.returncode, process.last_lines):
            raise Misconfigured(f"{process.name}: {fault}")
    failed = [" ".join(process.argv[:2]) for process in processes if process.returncode != 0]
    if failed:
        raise DevstackError(f"Migrating the databases failed (see above): {', '.join(failed)}")
    terminal.progress("databases are up to date")


def wait_until_ready(herald: Herald, supervisor: Supervisor, terminal: Terminal, shutdown: Shutdown) -> None:
    """Wait until the API says it is ready, and each process runs or keeps crashing.

    DevstackError when the API takes too long.
    """
    began = reported = time.monotonic()
    while reason := _why_not_ready(f"{herald.local_url}/readyz"):
        now = time.monotonic()
        if now - began > READY_TIMEOUT:
            raise DevstackError(f"The API is not ready after {READY_TIMEOUT:.0f} s ({reason}); see its output above.")
        if now - reported > REPORT_EVERY:
            terminal.progress(f"waiting for the API: {reason}")
            reported = now
        supervisor.look()
        shutdown.pause(0.05)
    while supervisor.undecided:
        supervisor.look()
        shutdown.pause(0.05)
    if supervisor.crashing:
        terminal.alert(f"the API is ready, but these keep crashing (see above): {', '.join(supervisor.crashing)}")
    else:
        terminal.progress("Herald is ready")


def _why_not_ready(url: str) -> str:
    try:
        with urllib.request.urlopen(url, timeout=2):  # noqa: S310  # our own
            return ""
    except (URLError, OSError) as error:
        return str(error)


def _process(command: Command, terminal: Terminal) -> Process:
    speaker = terminal.speaker(command.name)
    return Process(command.name, command.argv, env=command.env, output=speaker, ready=command.ready)
