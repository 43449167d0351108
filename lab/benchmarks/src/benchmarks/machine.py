"""What all this was measured on."""

import os
import platform
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psycopg

from benchmarks.places import CHECKOUT, PEERS
from benchmarks.sink_process import SinkProcess
from devstack.postgres import Postgres
from devstack.redis_server import RedisServer

CORES = 2
LIBRARIES = ("dramatiq", "celery", "rq", "taskiq", "taskiq-redis", "arq", "faststream", "procrastinate")
SHARED = ("fastapi", "uvicorn", "uvloop", "httptools", "pydantic", "psycopg", "redis", "hiredis")


def hold_two_cores() -> None:
    """Let this process, and everything it starts, have two cores and no more."""
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:CORES])


def describe(postgres: Postgres, directory: Path) -> dict[str, object]:
    """Describe machine, servers and versions."""
    with psycopg.connect(postgres.url()) as connection:
        row = connection.execute("SHOW server_version").fetchone()
    return {
        "when": time.strftime("%Y-%m-%d"),
        "commit": _commit(),
        "cpu": _found(r"model name\s*: (.*)", Path("/proc/cpuinfo")),
        "cores": len(os.sched_getaffinity(0)),
        "memory_gib": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1024**3),
        "kernel": platform.release(),
        "python": platform.python_version(),
        "postgresql": str(row[0]) if row else "?",
        "redis": _redis_version(directory),
        "fsyncs": round(_fsyncs(directory)),
        "plain_mails": round(_plain_mails(directory)),
        "versions": {name: version for name, version in _locked().items() if name in {*LIBRARIES, *SHARED}},
    }


def _commit() -> str:
    """Name what was measured, with a + for what isn't committed; nothing, outside of a checkout."""
    argv = ["git", "-C", str(CHECKOUT), "describe", "--always", "--abbrev=10", "--dirty=+", "--exclude=*"]
    return subprocess.run(argv, capture_output=True, text=True, check=False).stdout.strip()  # noqa: S603  # ours


def _redis_version(directory: Path) -> str:
    import redis

    server = RedisServer(directory / "redis-version")
    server.start()
    try:
        with redis.Redis.from_url(server.url) as client:
            told: dict[str, object] = client.info("server")
            return str(told["redis_version"])
    finally:
        server.kill()


def _fsyncs(directory: Path, seconds: float = 2.0) -> float:
    """Return how many times a second 8 KiB can be appended and synced where PostgreSQL's data lie."""
    count = 0
    with tempfile.NamedTemporaryFile(dir=directory) as file:
        began = time.monotonic()
        while time.monotonic() - began < seconds:
            os.write(file.fileno(), bytes(8192))
            os.fdatasync(file.fileno())
            count += 1
        return count / (time.monotonic() - began)


def _plain_mails(directory: Path) -> float:
    """Return how many mails a second a process can build and send as the peers do, while nothing else runs."""
    sink = SinkProcess(directory / "plain-mails.log")
    sink.start()
    try:
        environment = {**os.environ, "DATABASE_URL": "", "SMTP_URL": sink.url}
        argv = [sys.executable, str(PEERS / "floor_mail.py")]
        done = subprocess.run(argv, env=environment, capture_output=True, text=True, check=True)  # noqa: S603  # ours
        return float(done.stdout)
    finally:
        sink.kill()


def _locked() -> dict[str, str]:
    lock = (PEERS.parent / "requirements.lock").read_text()
    return dict(re.findall(r"^([a-z0-9-]+)==([^\s;]+)", lock, re.MULTILINE))


def _found(pattern: str, path: Path) -> str:
    found = re.search(pattern, path.read_text()) if path.exists() else None
    return found[1] if found else platform.machine()
