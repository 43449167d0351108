"""Who takes part: for each system the processes it is made of, and what it does."""

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from benchmarks.places import PEERS, PEERS_PYTHON
from devstack.herald import Command, Herald


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
    to run once before it starts.
    """

    name: str
    title: str
    commands: Callable[[Place], list[Command]]
    effects: bool = True
    redis: bool = True
    is_herald: bool = False
    prepare: str = ""


def _herald(place: Place, *, threads: int = 8) -> list[Command]:
    herald = Herald(place.databases, place.redis_url, place.smtp_url, place.port, log_format="json")
    return herald.processes(workers=1, threads=threads)


def _herald_plain_mail(place: Place) -> list[Command]:
    """With two threads: building such mails computes, and eight threads that compute are in each other's way."""
    api, relay, notifier, auditor = _herald(place, threads=2)
    argv = ["herald_plain_mail" if word == "notifier.worker" else word for word in notifier.argv]
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


_CELERY = "celery --app celery_tasks worker --pool threads --concurrency 8"
_DRAMATIQ = "dramatiq dramatiq_tasks --processes 1 --threads 8 --queues"
_RQ = "rq worker --worker-class rq.worker.SimpleWorker"
_TASKIQ = "taskiq worker --workers 1 --max-threadpool-threads 8"
_PROCRASTINATE = "procrastinate --app procrastinate_tasks.app"


def _tasks(name: str, title: str, mail: str, audit: str, **more: Any) -> System:
    return System(name, title, _peer(f"{name}_web", mail=mail, audit=audit), **more)


SYSTEMS = {
    system.name: system
    for system in [
        System("herald", "Herald", _herald, is_herald=True),
        System("herald-plain-mail", "Herald, plain mail", _herald_plain_mail, is_herald=True),
        _tasks("dramatiq", "Dramatiq", f"{_DRAMATIQ} mail", f"{_DRAMATIQ} audit"),
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
        System("fastapi", "FastAPI without effects", _peer("floor_fastapi"), effects=False, redis=False),
        System("asgi", "bare ASGI, one INSERT", _peer("floor_asgi"), effects=False, redis=False),
    ]
}

WITHOUT_PEERS = {"herald", "herald-plain-mail"}
"""They run without .venv-bench."""
