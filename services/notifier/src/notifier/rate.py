"""`MAIL_RATE`: the mails of all processes leave in turn, so that a backlog doesn't trip the provider's limit.

A thread reserves the next free moment in Redis and waits for it. So a backlog waits in the queue and uses up no
attempts, unless the rate is so low that a moment is further away than a thread may wait (`longest_wait`). Moments are
by Redis' clock. While Redis is unreachable mails are sent without a limit: the provider's own limit then defers them.
"""

import hashlib
import random
import re
import threading
from dataclasses import dataclass
from typing import Self

import redis
import structlog

from messaging.errors import ConfigurationError, RetryLater
from notifier.errors import Throttled
from notifier.mail import Mail
from notifier.senders import Sender

_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86_400}

_RESERVE = """
-- Reserve the next free moment for one mail, and return the microseconds until then. A moment that is more than ARGV[2]
-- away isn't reserved; the time until then is returned as a negative number.
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local free = math.max(now, tonumber(redis.call('GET', KEYS[1]) or 0))
if free - now > ARGV[1] + ARGV[2] then free = now end  -- such a moment is never reserved: the clock was set back
if free - now > tonumber(ARGV[2]) then return now - free end
local next = free + tonumber(ARGV[1])
redis.call('SET', KEYS[1], string.format('%.0f', next), 'PX', math.ceil((next - now) / 1000) + 1000)
return free - now
"""

log: structlog.stdlib.BoundLogger = structlog.get_logger("notifier")


@dataclass(frozen=True, slots=True)
class Rate:
    """At most one mail every `interval` seconds."""

    interval: float

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read MAIL_RATE, such as `14/s`, `600/m` or `50000/d`; ConfigurationError, if it is none."""
        found = re.fullmatch(r"(\d{1,9}(?:\.\d{1,6})?) ?/ ?([smhd])", text, re.ASCII)
        if not found or not float(found[1]):
            raise ConfigurationError(f"MAIL_RATE can't be used: {text!r} is no rate. Write 14/s, 600/m or 50000/d")
        return cls(_SECONDS[found[2]] / float(found[1]))

    @property
    def longest_wait(self) -> float:
        """Seconds that a thread waits for its turn: those of a few processes, and less than a minute."""
        return min(60.0, max(5.0, 32 * self.interval))


class Limited:
    """A sender that keeps to a rate. Processes with the same `account` share it. `stopping`: ends a wait."""

    def __init__(
        self, sender: Sender, rate: Rate, account: str, client: redis.Redis, stopping: threading.Event
    ) -> None:
        self._sender = sender
        self._rate = rate
        self._key = f"herald:mail-rate:{hashlib.sha256(account.encode()).hexdigest()[:16]}"
        self._reserve = client.register_script(_RESERVE)
        self._stopping = stopping
        self._is_open = False

    def send(self, mail: Mail) -> str | None:
        """Wait for this mail's turn, then send it. See `notifier.senders.Sender`."""
        seconds = self._wait()
        if seconds < 0:
            reason = f"MAIL_RATE: the next free moment is {-seconds:.0f} s away, because other mails wait"
            raise Throttled(reason, -seconds * random.uniform(1, 2))  # noqa: S311  # they don't come back all at once
        if seconds and self._stopping.wait(seconds):
            raise RetryLater("the worker stopped while this mail waited for its turn (MAIL_RATE)", 0)
        return self._sender.send(mail)

    def _wait(self) -> float:
        """Return the seconds until a mail's turn; negative, if that is too far away."""
        microseconds = [round(seconds * 1e6) for seconds in (self._rate.interval, self._rate.longest_wait)]
        try:
            seconds = float(self._reserve([self._key], microseconds)) / 1e6
        except redis.RedisError as error:
            if not self._is_open:
                log.warning("mail_rate.not_kept", error=f"{type(error).__name__}: {error}")
            self._is_open = True
            return 0.0
        if self._is_open:
            log.info("mail_rate.kept_again")
        self._is_open = False
        return seconds
