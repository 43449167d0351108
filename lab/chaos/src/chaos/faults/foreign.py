"""What isn't ours, in the queues and in the stream: a program that can write to Redis can write anything."""

import re
import time
from collections import Counter
from collections.abc import Callable, Iterable
from functools import partial
from itertools import count
from typing import Any

import psutil  # type: ignore[import-untyped]  # it has no types of its own

from chaos import foreign
from chaos.fault import Fault, Trial
from chaos.ledger import Ledger
from chaos.system import WORKERS
from contracts import SUBSCRIPTIONS, UserRegistered
from messaging.wire import layout
from users_api import PUBLISHER

COPIES = 6
"""Copies of each kind, in each queue. Of messages larger than LARGE bytes, one."""
LARGE = 20_000

DOUBLED = 10
"""How many messages are enqueued twice at a time."""

READ = tuple(each for each in SUBSCRIPTIONS if each.queue in WORKERS and each.event is UserRegistered)
"""The subscriptions whose messages are read, and of whose events the foreign messages are made."""

READERS = ("relay", *WORKERS)
"""The processes that read what is written into Redis."""

FOREIGN_ID = re.compile(rb"foreign\.\d+$")

DROP_SECONDS = 10.0
"""Seconds after which all foreign messages must be gone."""

DROPPED = r"\b{}s?\.(?:dropped|not_ours)\b(?:.*?\bcount=(\d+))?"
"""A log line about one message or receipt that was dropped, or about `count` of them."""

CRASH = re.compile(r"unexpected error|[Uu]nhandled (?:error|exception)|step_crashed|Exception in thread")
"""What Dramatiq, the relay and Python log about an unexpected error."""

Piece = Callable[[], object]


class Foreign(Fault):
    """The foreign messages and receipts are written one by one, in random order, while the load goes on."""

    number = 24
    webhook = False  # what is written and looked at is that of WORKERS
    follow_up = False  # as above
    title = "messages and receipts that aren't ours, of every kind, in queues and stream"
    per_second, least = 100.0, 600
    patience = 60.0
    recovers_within = 10.0  # ours waits for no lease

    def prepare(self, trial: Trial) -> None:
        self._written: Counter[str] = Counter()
        self._ids = (f"{PUBLISHER}/foreign.{number}" for number in count())

    def strike(self, trial: Trial) -> None:
        trial.wait_for_share(0.1)
        self._alive = _alive(trial)
        trial.strike_now()
        pieces = [*self._messages(trial), *self._receipts(trial), *self._traces(trial)]
        trial.dice.shuffle(pieces)
        for place, write in enumerate(pieces):
            trial.wait_for_share(0.1 + 0.7 * place / len(pieces))
            write()
        trial.strike_now()

    def _messages(self, trial: Trial) -> list[Piece]:
        dropped = [(each.queue, data) for each in READ for data in foreign.messages(each)]
        idle = [(each.queue, data) for each in READ for data in foreign.idle_messages(each)]
        copies = [each for each in dropped for _ in range(_copies(each[1]))]
        self._written["message"] = len(copies)
        return [partial(self._enqueue, trial, queue, data) for queue, data in copies + idle]

    def _receipts(self, trial: Trial) -> list[Piece]:
        receipts = [entry for each in READ for entry in foreign.receipts(each.name)]
        idle = [entry for each in READ for entry in foreign.idle_receipts(each.name)]
        copies = [each for each in receipts for _ in range(_copies(*each.values()))]
        self._written["receipt"] = len(copies)
        return [partial(trial.system.redis.xadd, layout.receipts_key(PUBLISHER), entry) for entry in copies + idle]  # type: ignore[arg-type]  # bytes are fine

    def _traces(self, trial: Trial) -> list[Piece]:
        """Messages that no list names, ids without a message, and ids of ours once more."""
        redis, pieces = trial.system.redis, list[Piece]()
        for queue in (each.queue for each in READ for _ in range(3 * COPIES)):
            waiting = layout.queue_key(queue)
            pieces += [
                *(partial(redis.hset, layout.messages_key(queue), each, "x") for each in self._of_everyone()),
                partial(redis.rpush, waiting, *self._of_everyone(), b"\xff", b"", "nul\x00"),
                partial(_double, trial, queue),
            ]
        return pieces

    def _of_everyone(self) -> list[str]:
        """Return ids that name our publisher, none, and one that has no relay."""
        ours = next(self._ids)
        return [ours, ours.removeprefix(f"{PUBLISHER}/"), ours.replace(PUBLISHER, "gone")]

    def _enqueue(self, trial: Trial, queue: str, data: bytes) -> None:
        message_id = next(self._ids)
        pipeline = trial.system.redis.pipeline()
        pipeline.hset(layout.messages_key(queue), message_id, data.replace(foreign.ID.encode(), message_id.encode()))
        pipeline.rpush(layout.queue_key(queue), message_id)
        pipeline.execute()

    def afterwards(self, trial: Trial) -> None:
        """Record what is left, and remove it, so that the trial ends."""
        deadline = time.monotonic() + DROP_SECONDS
        while (left := _left(trial)) and time.monotonic() < deadline:
            time.sleep(0.1)
        self._left, self._alive_after = left, _alive(trial)
        trial.system.redis.delete(*left, b"nothing")

    def judge(self, trial: Trial, ledger: Ledger) -> None:
        super().judge(trial, ledger)
        for name, (pids, threads) in self._alive.items():
            now, left = self._alive_after[name]
            ledger.expect(now == pids, f"{name} ended, or was started again")
            ledger.expect(left >= threads, f"{threads - left} threads of {name} ended")
        logs = {name: trial.system.log(name) for name in READERS}
        for name, log in logs.items():
            crashes = len(CRASH.findall(log))
            ledger.expect(not crashes, f"{crashes} unexpected errors of {name}")
        counted = {each: _counted(each, logs.values()) for each in self._written}
        for each, written in self._written.items():
            ledger.expect(counted[each] >= written, f"{counted[each]} of {written} foreign {each}s counted in the log")
        ledger.expect(not self._left, f"left in Redis: {_in_words(self._left)}")
        ledger.figure = ", ".join(f"{written:,} foreign {each}s" for each, written in self._written.items())


def _copies(*data: bytes) -> int:
    return 1 if sum(map(len, data)) > LARGE else COPIES


def _double(trial: Trial, queue: str) -> None:
    """Enqueue once more some of ours that wait or are held."""
    redis: Any = trial.system.redis  # its answers are typed as awaitable too
    ours = [each for each in redis.hkeys(layout.messages_key(queue)) if not FOREIGN_ID.search(each)]
    if ours:
        redis.rpush(layout.queue_key(queue), *ours[:DOUBLED])


def _alive(trial: Trial) -> dict[str, tuple[set[int], int]]:
    """Return the processes of each reader, and how many threads they have."""
    pids = {name: trial.system.processes[name].pids for name in READERS}
    return {name: (each, sum(psutil.Process(pid).num_threads() for pid in each)) for name, each in pids.items()}


def _left(trial: Trial) -> dict[bytes, int]:
    """Return the keys that still hold something, and how much."""
    redis: Any = trial.system.redis  # its answers are typed as awaitable too
    counts = {layout.receipts_key(PUBLISHER).encode(): redis.xlen(layout.receipts_key(PUBLISHER))}
    for queue in WORKERS:
        counts[layout.queue_key(queue).encode()] = redis.llen(layout.queue_key(queue))
        counts[layout.messages_key(queue).encode()] = redis.hlen(layout.messages_key(queue))
        counts |= {key: redis.scard(key) for key in redis.scan_iter(layout.unacked_key("*", queue), count=1000)}
    return {key: number for key, number in counts.items() if number}


def _in_words(left: dict[bytes, int]) -> str:
    return ", ".join(f"{number} in {key.decode()}" for key, number in left.items())


def _counted(what: str, logs: Iterable[str]) -> int:
    found = (match for log in logs for match in re.finditer(DROPPED.format(what), log))
    return sum(int(match[1] or 1) for match in found)
