"""What a system loses: `kill -9` of all its processes in mid-load, and FLUSHALL of its Redis in mid-load.

PostgreSQL is the truth: every committed user, answered or not, is owed one mail and one audit row. What isn't there
after PATIENCE seconds counts as missing: a system that looks for it later only is not told from one that never does.
What ends by itself meanwhile is started again, as a supervisor would.
"""

import time
from collections import Counter
from collections.abc import Callable

import redis

from benchmarks import load
from benchmarks.running import Running

PATIENCE = 60.0
QUIET = 10.0
"""Seconds to look out for duplicates, once everything is there."""

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
    before = running.users()
    client = load.start(running.place.port, "lost", registrations)
    try:
        running.until(lambda: len(running.users()) - len(before) >= UNDER_LOAD, 60)
        strike()
        struck = time.time()
        answers = load.collect(client, "lost")
    finally:
        client.kill()
    mails, audits, restarted = _settle(running, before)
    users = running.users() - before
    mailed, audited = Counter(address for _, address in mails), Counter(address for _, address in audits)
    effects = [at for at, _ in [*mails, *audits]]
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
        "settled": max(effects) - max(struck, answers.ended),
        "restarted": restarted,
    }


Effects = list[tuple[float, str]]


def _settle(running: Running, before: set[str]) -> tuple[Effects, Effects, list[str]]:
    """Wait until everything is there and quiet, or patience is at an end; return all effects, and who was restarted."""
    mails: Effects = []
    restarted: list[str] = []
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        time.sleep(1)
        restarted += running.revive()
        mails += running.sink.take()
        audits = running.audited()
        users = running.users() - before
        there = users <= {address for _, address in mails} and users <= {address for _, address in audits}
        if there and time.time() - max(at for at, _ in [*mails, *audits]) > QUIET:
            break
    mails += running.sink.take()
    return mails, running.audited(), restarted
