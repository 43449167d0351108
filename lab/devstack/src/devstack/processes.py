"""A child process, with everything it starts: none of it outlives this process, and none survives a kill."""

import os
import signal
import subprocess
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

import psutil  # type: ignore[import-untyped]  # it has no types of its own

from devstack.lifeline import lifeline

Output = Callable[[str], None] | Path
"""Where a process's output goes: each line to a function, or all of it, appended, to a file."""

KEPT_LINES = 200
"""How many lines of output are kept, to show how a process ended."""

LONGEST_LINE = 2_000

LAST_SECONDS = 10.0
"""A line that was printed longer than this before the output ended doesn't say why it ended. Dramatiq's master outlives
a broken worker by the seconds that the other workers need to stop.
"""


class Process:
    """A program in a session of its own. It may be started again after it has ended.

    Args:
        name: what people call it.
        argv: the program and its arguments.
        output: where stdout and stderr go; nowhere if left out.
        env: the whole environment; ours if left out.
        cwd: the directory to run in; ours if left out.
        ready: what it prints when it is ready for work, if its output goes to a function.
    """

    def __init__(  # noqa: PLR0913  # each is named where it is called
        self,
        name: str,
        argv: Sequence[str],
        *,
        output: Output | None = None,
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
        ready: str = "",
    ) -> None:
        self.name = name
        self.argv = list(argv)
        self._output = output
        self._env = env
        self._cwd = cwd
        self._popen: subprocess.Popen[bytes] | None = None
        self._cleared = False  # all of the last run is gone: its process id may be another's by now
        self._reader: threading.Thread | None = None
        self._lines: deque[tuple[float, str]] = deque(maxlen=KEPT_LINES)  # each with the time when it was read
        self._silent_since: float | None = None  # when the output ended
        self._ready_text = ready
        self._ready = False
        self._logged = 0  # what was in the log before this run

    def start(self) -> None:
        """Start the program; OSError if there is no such program."""
        if callable(self._output):
            self._lines.clear()
            self._ready, self._silent_since = False, None
            self._spawn(subprocess.PIPE)
            self._reader = threading.Thread(target=self._read, args=(self._output,), daemon=True)
            self._reader.start()
        else:
            with (self._output or Path(os.devnull)).open("ab") as log:
                self._logged = log.tell()
                self._spawn(log.fileno())

    @property
    def pid(self) -> int:
        """The process id of the program itself."""
        if self._popen is None:
            raise RuntimeError(f"{self.name} has not been started")
        return self._popen.pid

    @property
    def pids(self) -> set[int]:
        """The program, what it started, and any other process of its group. The dead don't count."""
        if self._popen is None or self._cleared:
            return set()
        found = {pid for pid in psutil.pids() if _group(pid) == self.pid}
        with suppress(psutil.NoSuchProcess):
            found |= {child.pid for child in psutil.Process(self.pid).children(recursive=True)}
        return {pid for pid in found if _is_alive(pid)}

    @property
    def returncode(self) -> int | None:
        """The exit status (-9: killed by signal 9); None before it has ended."""
        return self._popen.poll() if self._popen else None

    @property
    def running(self) -> bool:
        """Whether the program has been started and has not ended."""
        return self._popen is not None and self.returncode is None

    @property
    def last_lines(self) -> Sequence[str]:
        """What it has printed lately or, once it has ended, in its last seconds.

        The time of a line in a log file isn't known: there it is the end of what it has logged since its last start.
        """
        if isinstance(self._output, Path):
            return self._logged_lines(self._output)
        oldest = (self._silent_since or time.monotonic()) - LAST_SECONDS
        return [line for read, line in list(self._lines) if read >= oldest]

    @property
    def ready(self) -> bool:
        """Whether it has printed, since its last start, that it is ready for work."""
        return self._ready

    def wait(self, timeout: float | None = None) -> int:
        """Wait for the end and return the exit status; subprocess.TimeoutExpired when it takes longer."""
        assert self._popen is not None, f"{self.name} has not been started"  # noqa: S101  # a caller's mistake
        return self._popen.wait(timeout)

    def send(self, number: int) -> None:
        """Send a signal to the program alone."""
        if self.running:
            os.kill(self.pid, number)

    def stop(self, timeout: float = 10, by: int = signal.SIGTERM) -> None:
        """Ask the program to end; after `timeout` seconds, and whatever it left behind, kill."""
        self.send(by)
        if self.running:
            with suppress(subprocess.TimeoutExpired):
                self.wait(timeout)
        self.kill()

    def kill(self) -> None:
        """Kill the program and everything it started, and wait until all of it is gone."""
        if self._popen is None or self._cleared:
            return
        deadline = time.monotonic() + 5
        found: set[int] = set()  # an orphan of another group that is still dying can't be found a second time
        while (alive := self.pids | set(filter(_is_alive, found))) and time.monotonic() < deadline:
            found |= alive
            for pid in alive:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            self._popen.poll()
            time.sleep(0.005)
        self._popen.wait()
        lifeline.release(self.pid)
        if self._reader:
            self._reader.join(timeout=1)
        self._cleared = True

    def _logged_lines(self, log: Path) -> list[str]:
        with log.open("rb") as file:
            end = file.seek(0, os.SEEK_END)
            file.seek(max(self._logged, end - KEPT_LINES * LONGEST_LINE))
            lines = file.read().decode("utf-8", "replace").splitlines()
        return [line[:LONGEST_LINE] for line in lines[-KEPT_LINES:]]

    def _spawn(self, output: int) -> None:
        self._popen = subprocess.Popen(  # noqa: S603  # the caller names the program
            self.argv,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env=self._env,
            cwd=self._cwd,
            start_new_session=True,
        )
        self._cleared = False
        lifeline.hold(self._popen.pid)

    def _read(self, receive: Callable[[str], None]) -> None:
        assert self._popen is not None  # noqa: S101  # started just now
        assert self._popen.stdout is not None  # noqa: S101  # a pipe
        with self._popen.stdout as lines:
            for line in lines:
                text = line.decode("utf-8", "replace").rstrip()
                self._lines.append((time.monotonic(), text[:LONGEST_LINE]))
                self._ready = self._ready or (self._ready_text != "" and self._ready_text in text)
                receive(text)
        self._silent_since = time.monotonic()


def _group(pid: int) -> int | None:
    try:
        return os.getpgid(pid)
    except (ProcessLookupError, PermissionError):
        return None


def _is_alive(pid: int) -> bool:
    try:
        return bool(psutil.Process(pid).status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False
