"""Redis wiped, killed, away and full. It is transport only, so nothing of this may show."""

import time
from statistics import median

from chaos.fault import Fault, Trial
from chaos.ledger import Ledger
from chaos.load import Load
from contracts import SUBSCRIPTIONS
from messaging.wire import layout

QUEUES = {each.name: each.queue for each in SUBSCRIPTIONS}

BACKLOG = 50
"""This many unfinished deliveries, or fewer, are just the load."""

IN_FLIGHT = "SELECT count(*) FROM deliveries WHERE state IN ('queued', 'running')"

WAITS_FOR_LOST = """
-- Messages from before the fault that deliveries still wait for, and their queues. What a worker has begun
-- since, with a message that it had fetched before, waits for that worker alone.
SELECT DISTINCT subscription, message_id FROM deliveries
WHERE queued_at < to_timestamp(%(struck)s)
    AND (state = 'queued' OR state = 'running' AND started_at < to_timestamp(%(struck)s))
"""


class Flush(Fault):
    """Everything in Redis is gone, and Redis still answers."""

    number = 7
    title = "FLUSHALL of Redis in mid-load"
    recovers_within = 15.0
    interval = 4.0  # two seconds between two looks, or of backoff; two for a busy machine

    def prepare(self, trial: Trial) -> None:
        trial.system.sink.delay = 0.05  # so that there are always some in flight

    def strike(self, trial: Trial) -> None:
        trial.wait_for_share(trial.dice.uniform(0.2, 0.7))
        self._in_flight = trial.system.query("users", IN_FLIGHT)[0][0]
        trial.system.sink.delay = 0.3  # so that messages that workers hold meet those that are enqueued again
        self.wipe(trial)
        began = time.monotonic()
        while self._waits_for_lost(trial) and time.monotonic() < began + self.recovers_within:
            time.sleep(0.02)
        self._noticed = time.monotonic() - began
        trial.system.sink.delay = 0.0

    def _waits_for_lost(self, trial: Trial) -> bool:
        """Return whether a delivery waits for a message that Redis lost. What came after the fault isn't lost."""
        waited_for = trial.system.query("users", WAITS_FOR_LOST, {"struck": trial.struck})
        return not all(
            trial.system.redis.hexists(layout.messages_key(QUEUES[subscription]), message_id)
            for subscription, message_id in waited_for
        )

    def wipe(self, trial: Trial) -> None:
        """Lose everything."""
        trial.strike_now()
        trial.system.redis.flushall()

    def judge(self, trial: Trial, ledger: Ledger) -> None:
        super().judge(trial, ledger)
        ledger.expect(self._in_flight > 0, "nothing was in Redis when it was lost")
        ledger.expect(self._noticed <= self.interval, f"lost messages were waited for, for {self._noticed:.1f} s")
        found = trial.system.log("relay").count("redis.found_empty")
        ledger.expect(found == 1, f"the relay found Redis empty {found} times")
        figure = f"{self._in_flight} in flight, D = {ledger.duplicate_mails}"
        ledger.figure = f"{figure}; nothing waits for a lost message after {self._noticed:.1f} s"


class Kill(Flush):
    """Redis dies and comes back with nothing."""

    number = 8
    title = "SIGKILL of Redis, started again empty"

    def wipe(self, trial: Trial) -> None:
        trial.strike_now()
        trial.system.redis_server.kill()
        time.sleep(trial.dice.uniform(0, 2))
        trial.system.redis_server.start()


class Down(Fault):
    """A quarter of the load with Redis, half without, a quarter with it again: other things go on on this machine."""

    number = 9
    webhook = False  # what is judged is how long a POST takes
    follow_up = False  # as above
    title = "Redis down for a minute or more"
    per_second = 40.0
    ratio = 1.2
    judged_from = 2000  # with fewer, a 99th percentile is the slowest of a few dozen

    def strike(self, trial: Trial) -> None:
        trial.wait_for_share(0.03)  # the first requests pay for connections
        began = time.monotonic()
        trial.wait_for_share(0.25)
        taken = time.monotonic()
        self.take(trial)
        trial.wait_for_share(0.75)
        given_back = time.monotonic()
        self.give_back(trial)
        trial.strike_now()
        trial.system.until(lambda: trial.system.unfinished() < BACKLOG)
        drained = time.monotonic()
        trial.load.join()
        over = time.monotonic()
        self.without = given_back - taken
        self.during = median(_p99s(trial.load, taken, given_back))
        self.otherwise = median([*_p99s(trial.load, began, taken), *_p99s(trial.load, drained, over)])

    def take(self, trial: Trial) -> None:
        """Let Redis be of no use."""
        trial.system.redis_server.kill()

    def give_back(self, trial: Trial) -> None:
        """Let it be of use again."""
        trial.system.redis_server.start()

    def judge(self, trial: Trial, ledger: Ledger) -> None:
        super().judge(trial, ledger)
        ratio = self.during / self.otherwise
        unserved = trial.load.unavailable + trial.load.unanswered
        ledger.expect(not unserved, f"{unserved} requests had to be sent again")
        enough = trial.load.total >= self.judged_from
        ledger.expect(not enough or ratio <= self.ratio, f"p99 of POST is more than {self.ratio} times that with Redis")
        p99s = f"{1000 * self.during:.0f} ms against {1000 * self.otherwise:.0f} ms"
        remark = "" if enough else " (too few to judge it)"
        ledger.figure = f"{self.without:.0f} s; p99 of POST {p99s}: {ratio:.2f}{remark}"


class Full(Down):
    """Redis answers, and takes nothing more."""

    number = 10
    title = "Redis full (`noeviction`)"
    needs_redis = True
    share = 0.5

    def take(self, trial: Trial) -> None:
        used = trial.system.redis.info("memory")["used_memory"]
        trial.system.redis.config_set("maxmemory", used // 2)  # as if another program's data filled it

    def give_back(self, trial: Trial) -> None:
        trial.system.redis.config_set("maxmemory", 0)

    def judge(self, trial: Trial, ledger: Ledger) -> None:
        super().judge(trial, ledger)
        said = "'maxmemory'" in trial.system.log("relay")
        ledger.expect(said, "the relay didn't say that Redis is full")
        ledger.figure += "; the relay says so" if said else ""


def _p99s(load: Load, since: float, until: float, windows: int = 5) -> list[float]:
    """Return the 99th percentile of the request times in each of so many parts of a span."""
    width = (until - since) / windows
    spans = [load.seconds(since + n * width, since + (n + 1) * width) for n in range(windows)]
    return [seconds[int(len(seconds) * 0.99)] for seconds in spans if seconds]
