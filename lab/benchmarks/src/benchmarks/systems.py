"""Who takes part: for each system the processes it is made of, and what it does."""

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from benchmarks.places import PEERS, PEERS_PYTHON
from devstack.herald import Command, Herald

PHASES = ("burst", "lag", "idle", "lost")


@dataclass(frozen=True)
class Place:
    """Where a system runs: its databases (`users`, `notifier`, `auditor`), its Redis, its mail server, its port."""

    databases: Mapping[str, str]
    redis_url: str
    smtp_url: str
    port: int


@dataclass(frozen=True)
class System:
    """One that takes part.

    `effects`: whether it does more than answer. `redis`: whether its messages are in Redis. `prepare`: a command line
    to run once before it starts. `phases`: what of it is worth measuring.
    """

    name: str
    title: str
    commands: Callable[[Place], list[Command]]
    effects: bool = True
    redis: bool = True
    is_herald: bool = False
    prepare: str = ""
    phases: Sequence[str] = PHASES


def _herald(place: Place, *, threads: int = 8) -> list[Command]:
    herald = Herald(place.databases, place.redis_url, place.smtp_url, place.port, log_format="json")
    return herald.processes(workers=1, threads=threads)


def _herald_plain_mail(place: Place, *, processes: int = 1) -> list[Command]:
    """With two threads: building such mails computes, and eight threads that compute are in each other's way."""
    api, relay, notifier, auditor = _herald(place, threads=2)
    argv = ["herald_plain_mail" if word == "notifier.worker" else word for word in notifier.argv]
    argv += ["--processes", str(processes)]  # the last one counts
    return [api, relay, Command(notifier.name, tuple(argv), {**notifier.env, "PYTHONPATH": str(PEERS)}), auditor]


def _peer(web: str, **consumers: str) -> Callable[[Place], list[Command]]:
    """Make a system of the peers' directory: its application, and its consumers by name, as command lines."""

    def commands(place: Place) -> list[Command]:
        environment = _environment(place)
        serve = f"uvicorn {web}:app --port {place.port} --loop uvloop --http httptools --no-access-log"
        lines = {"web": serve, **consumers}
        return [_command(name, line, environment) for name, line in lines.items()]

    return commands


def _environment(place: Place) -> dict[str, str]:
    return {
        **os.environ,
        "DATABASE_URL": place.databases["users"],
        "REDIS_URL": place.redis_url,
        "SMTP_URL": place.smtp_url,
        "PYTHONPATH": str(PEERS),
        "PYTHONUNBUFFERED": "1",
    }


def _command(name: str, line: str, environment: Mapping[str, str]) -> Command:
    program, *arguments = line.split()
    return Command(name, (str(PEERS_PYTHON / program), *arguments), environment)


def preparation(system: System, place: Place) -> list[Command]:
    """Return what to run once before the system starts."""
    return [_command("prepare", system.prepare, _environment(place))] if system.prepare else []


# Blocking work, so threads: `prefork` with one process was as fast with more memory.
_CELERY = "celery --app celery_tasks worker --pool threads --concurrency 8"
# Its default, 8 threads; with 2 it was 1.06 x as fast, with 1 0.84 x (one run of two rounds).
_DRAMATIQ = "dramatiq dramatiq_tasks --threads 8 --processes"
# Its default forks for each job; its documentation names SimpleWorker where that costs too much.
_RQ = "rq worker --worker-class rq.worker.SimpleWorker"
_TASKIQ = "taskiq worker --workers 1 --max-threadpool-threads 8"
_PROCRASTINATE = "procrastinate --app procrastinate_tasks.app"


def _tasks(name: str, title: str, mail: str, audit: str, **more: Any) -> System:
    return System(name, title, _peer(f"{name}_web", mail=mail, audit=audit), **more)


def _floor(name: str, title: str) -> System:
    return System(name, title, _peer(f"floor_{name}"), effects=False, redis=False, phases=["burst"])


SYSTEMS = {
    system.name: system
    for system in [
        System("herald", "Herald", _herald, is_herald=True),
        System("herald-plain-mail", "Herald, plain mail", _herald_plain_mail, is_herald=True),
        System(
            "herald-plain-mail-2",
            "Herald, 2 plain mail processes",
            partial(_herald_plain_mail, processes=2),
            is_herald=True,
            phases=["burst"],
        ),
        _tasks("dramatiq", "Dramatiq", f"{_DRAMATIQ} 1 --queues mail", f"{_DRAMATIQ} 1 --queues audit"),
        System(
            "dramatiq-2",
            "Dramatiq, 2 mail processes",
            _peer("dramatiq_web", mail=f"{_DRAMATIQ} 2 --queues mail", audit=f"{_DRAMATIQ} 1 --queues audit"),
            phases=["burst"],
        ),
        _tasks("celery", "Celery", f"{_CELERY} -Q mail -n mail@%h", f"{_CELERY} -Q audit -n audit@%h"),
        _tasks("rq", "RQ", f"{_RQ} mail", f"{_RQ} audit"),
        _tasks("taskiq", "Taskiq", f"{_TASKIQ} taskiq_tasks:mail", f"{_TASKIQ} taskiq_tasks:audit"),
        _tasks("arq", "arq", "arq arq_tasks.Mail", "arq arq_tasks.Audit"),
        _tasks(
            "faststream", "FastStream", "faststream run faststream_tasks:mail", "faststream run faststream_tasks:audit"
        ),
        _tasks(
            "procrastinate",
            "procrastinate",
            f"{_PROCRASTINATE} worker --queues mail --concurrency 8",
            f"{_PROCRASTINATE} worker --queues audit --concurrency 8",
            redis=False,
            prepare=f"{_PROCRASTINATE} schema --apply",
        ),
        System("background", "FastAPI BackgroundTasks", _peer("background_web"), redis=False),
        _floor("fastapi", "FastAPI without effects"),
        _floor("asgi", "bare ASGI, one INSERT"),
    ]
}
