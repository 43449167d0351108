"""What a system loses: `kill -9` of all its processes in mid-load, and FLUSHALL of its Redis in mid-load.

PostgreSQL is the truth: every committed user, answered or not, is owed one mail and one audit row. An effect that isn't
there after WAIT_SECONDS counts as missing, whether the system would have looked for it later or never. A process that
ends by itself is started again, as by a supervisor, and one registration a second goes on.
"""

import json
import subprocess
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from http.client import HTTPConnection, HTTPException
from itertools import count

import redis

from benchmarks import load
from benchmarks.running import Running

PREFIX = "lost"
Effects = list[tuple[float, str]]

WAIT_SECONDS = 60.0
QUIET_SECONDS = 10.0
"""How long to look for duplicates once every effect is there."""

UNDER_LOAD = 300
"""Committed users when disaster strikes."""
KILLED_LOAD = 20_000
FLUSHED_LOAD = 1500


def kill(running: Running) -> dict[str, object]:
    """Kill every process of the system in mid-load, and start them again."""

    def strike() -> None:
        running.kill()
        running.revive()

    return _measure(running, KILLED_LOAD, strike)


def flush(running: Running) -> dict[str, object]:
    """Empty Redis in mid-load; the load goes on."""

    def strike() -> None:
        with redis.Redis.from_url(running.redis_server.url) as client:
            client.flushall()

    return _measure(running, FLUSHED_LOAD, strike)


def _measure(running: Running, registrations: int, strike: Callable[[], None]) -> dict[str, object]:
    running.begin()
    client = load.start(running.place.port, PREFIX, registrations)
    try:
        running.until(lambda: len(_owed(running)) >= UNDER_LOAD, 60)
        strike()
        struck = time.time()
        answers, restarted = _outlast(running, client)
    finally:
        client.kill()
    mails, audits = _settle(running, restarted)
    users = _owed(running)
    mailed, audited = Counter(address for _, address in mails), Counter(address for _, address in audits)
    return {
        "users": len(users),
        "answered": len(answers.answered),
        "answered_but_no_user": len(set(answers.answered) - users),
        "no_mail": len(users - mailed.keys()),
        "no_audit": len(users - audited.keys()),
        "answered_no_mail": len(answers.answered.keys() - mailed.keys()),
        "answered_no_audit": len(answers.answered.keys() - audited.keys()),
        "repeated_mails": sum(mailed.values()) - len(mailed),
        "repeated_audits": sum(audited.values()) - len(audited),
        "settled": max(0.0, max(at for at, _ in [*mails, *audits]) - max(struck, answers.ended)),
        "restarted": restarted,
    }


def _owed(running: Running) -> set[str]:
    return {address for address in running.users() if address.startswith(PREFIX)}


def _outlast(running: Running, client: "subprocess.Popen[str]") -> tuple[load.Answers, list[str]]:
    """Start again what ends, until the load does; return its answers, and the names."""
    restarted: list[str] = []
    with ThreadPoolExecutor(1) as thread:
        answers = thread.submit(load.collect, client, PREFIX)
        while not answers.done():
            restarted += running.revive()
            time.sleep(0.2)
    return answers.result(), restarted


def _settle(running: Running, restarted: list[str]) -> tuple[Effects, Effects]:
    """Wait until everything is there and quiet, or for WAIT_SECONDS; return all effects."""
    mails: Effects = []
    deadline = time.monotonic() + WAIT_SECONDS
    for second in count():
        time.sleep(1)
        restarted += running.revive()
        _trickle(running.place.port, second)
        mails += _lost(running.sink.take())
        audits = _lost(running.audited())
        there = _owed(running) <= {address for _, address in mails} & {address for _, address in audits}
        quiet = there and time.time() - max(at for at, _ in [*mails, *audits]) > QUIET_SECONDS
        if quiet or time.monotonic() > deadline:
            break
    return mails, audits


def _trickle(port: int, number: int) -> None:
    """Register one more: some systems look for what was left only when something new comes."""
    connection = HTTPConnection("127.0.0.1", port, timeout=5)
    body = json.dumps({"email": f"later{number}@example.com", "full_name": "Later"})
    with suppress(OSError, HTTPException), closing(connection):
        connection.request("POST", "/users", body, {"Content-Type": "application/json"})
        connection.getresponse().read()


def _lost(effects: Effects) -> Effects:
    return [(at, address) for at, address in effects if address.startswith(PREFIX)]
