"""Every key that Herald and Dramatiq have in Redis: those that `messaging.wire.layout` names, and all others.

A kind of key is its name with `<notifier>` in place of the id of the worker process that it is about: a worker that was
started anew has keys of the same kinds. A key that is added later, to either, is found without a change here.
"""

import inspect
import re
import socket
from collections.abc import Iterable, Iterator, Mapping

from chaos.system import WORKERS, System
from messaging.wire import layout
from users_api import PUBLISHER

_HOST = socket.gethostname()
_KEY = re.compile(r"\w+:[\w:]+")
_RELAY = re.compile(f"/{re.escape(_HOST)}" + r"\.\d+$")
_WORKER_ID = re.compile(re.escape(_HOST) + r"\.\d+\.[0-9a-f]{12}")


def worker_ids(system: System) -> dict[str, str]:
    """Return the id of each service's living worker process, by service; without those that have no heartbeat."""
    beating = system.redis.scan_iter(layout.heartbeat_key("*"), count=1000)
    ids = [key.decode().removeprefix(layout.heartbeat_key("")) for key in beating]
    services = {pid: service for service in WORKERS for pid in system.processes[service].pids}
    named = {services.get(int(each.rsplit(".", 2)[1])): each for each in ids}
    return {service: named[service] for service in WORKERS if service in named}


def kinds(system: System) -> dict[str, str]:
    """Return each kind of key that there is or may be, and which key is of that kind now."""
    workers = worker_ids(system)
    there = [key.decode() for key in system.redis.scan_iter(count=1000)]
    named = list(_keys_of(workers))
    by_kind = {_kind(key, workers): key for key in [*_constants(named), *named, *there]}
    return {kind: key for kind, key in by_kind.items() if not _WORKER_ID.search(kind)}  # dead workers' keys aside


def _kind(key: str, workers: Mapping[str, str]) -> str:
    for service, worker in workers.items():
        key = key.replace(worker, f"<{service}>")
    return key if _WORKER_ID.search(key) else _RELAY.sub("/<host>.<pid>", key).replace(_HOST, "<host>")


def _constants(others: Iterable[str]) -> list[str]:
    """List the keys that are constants of the layout, and not what other keys begin with."""
    constants = [value for name, value in vars(layout).items() if name.isupper() and _KEY.fullmatch(str(value))]
    return [each for each in constants if not any(key.startswith((f"{each}.", f"{each}:")) for key in others)]


def _keys_of(workers: Mapping[str, str]) -> Iterator[str]:
    """List the keys that functions of the layout name, for each service.

    Raises:
        KeyError: such a function has a parameter that this one doesn't know.
    """
    functions = [function for name, function in vars(layout).items() if name.endswith("_key")]
    for service, worker in workers.items():
        member = layout.relay_member(PUBLISHER, f"{_HOST}.0")
        known = {"queue": service, "worker": worker, "host": _HOST, "publisher": PUBLISHER, "member": member}
        for function in functions:
            yield function(*(known[parameter] for parameter in inspect.signature(function).parameters))
