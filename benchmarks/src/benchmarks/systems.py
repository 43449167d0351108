"""Who takes part: for each system the processes it is made of, and what it does."""

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass

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

    `effects`: whether it does more than answer. `redis`: whether its messages are in Redis.
    """

    name: str
    title: str
    commands: Callable[[Place], list[Command]]
    effects: bool = True
    redis: bool = True
    is_herald: bool = False


def _herald(place: Place) -> list[Command]:
    herald = Herald(place.databases, place.redis_url, place.smtp_url, place.port, log_format="json")
    return herald.processes(workers=1)


def _herald_plain_mail(place: Place) -> list[Command]:
    api, relay, notifier, auditor = _herald(place)
    argv = ["herald_plain_mail" if word == "notifier.worker" else word for word in notifier.argv]
    return [api, relay, Command(notifier.name, tuple(argv), {**notifier.env, "PYTHONPATH": str(PEERS)}), auditor]


def _peer(web: str, **consumers: str) -> Callable[[Place], list[Command]]:
    """Make a system of the peers' directory: its application, and its consumers by name, as command lines."""

    def commands(place: Place) -> list[Command]:
        environment = {
            **os.environ,
            "DATABASE_URL": place.databases["users"],
            "REDIS_URL": place.redis_url,
            "SMTP_URL": place.smtp_url,
            "PYTHONPATH": str(PEERS),
            "PYTHONUNBUFFERED": "1",
        }
        serve = f"uvicorn {web}:app --port {place.port} --loop uvloop --http httptools --no-access-log"
        lines = {"web": serve, **consumers}
        return [_command(name, line, environment) for name, line in lines.items()]

    return commands


def _command(name: str, line: str, environment: Mapping[str, str]) -> Command:
    program, *arguments = line.split()
    return Command(name, (str(PEERS_PYTHON / program), *arguments), environment)


SYSTEMS = {
    system.name: system
    for system in [
        System("herald", "Herald", _herald, is_herald=True),
        System("herald-plain-mail", "Herald, plain mail", _herald_plain_mail, is_herald=True),
        System(
            "dramatiq",
            "Dramatiq",
            _peer(
                "dramatiq_web",
                mail="dramatiq dramatiq_tasks --queues mail --processes 1 --threads 8",
                audit="dramatiq dramatiq_tasks --queues audit --processes 1 --threads 8",
            ),
        ),
        System("fastapi", "FastAPI without effects", _peer("floor_fastapi"), effects=False, redis=False),
        System("asgi", "bare ASGI, one INSERT", _peer("floor_asgi"), effects=False, redis=False),
    ]
}
