"""MAIL_RATE: all processes together keep to it, and nothing is lost or refused by it."""

import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import redis
from tests.patience import SLACK

from chaos.servers import Servers
from devstack.postgres import Postgres
from devstack.redis_server import RedisServer
from messaging.errors import ConfigurationError, RetryLater
from messaging.wire.client import connect
from notifier.errors import Throttled
from notifier.mail import Mail
from notifier.rate import Limited, Rate

from .mails import MAIL


class Provider:
    """Notes when mails come."""

    def __init__(self) -> None:
        self.times: list[float] = []

    def send(self, mail: Mail) -> str:
        self.times.append(time.monotonic())
        return "reference"


Open = Callable[..., Limited]


@pytest.fixture
def provider() -> Provider:
    return Provider()


@pytest.fixture
def opened(provider: Provider, redis_client: redis.Redis, redis_server: RedisServer) -> Open:
    """Open a sender as one process has it: `opened("50/s")`."""

    def make(rate: str, account: str = "smtp://one", stopping: threading.Event | None = None) -> Limited:
        return Limited(provider, Rate.parse(rate), account, connect(redis_server.url), stopping or threading.Event())

    return make


@pytest.mark.parametrize(
    ("text", "interval"), [("14/s", 1 / 14), ("600/m", 0.1), ("1 / h", 3600), ("50000/d", 1.728), ("0.5/s", 2)]
)
def test_rates(text: str, interval: float) -> None:
    assert Rate.parse(text).interval == pytest.approx(interval)


@pytest.mark.parametrize("text", ["14", "0/s", "-1/s", "s", "14/second", "1e3/s", "fast", "٣/s"])
def test_what_is_no_rate_is_refused_with_the_remedy(text: str) -> None:
    with pytest.raises(ConfigurationError, match=r"MAIL_RATE .*Write 14/s"):
        Rate.parse(text)


def test_threads_of_several_processes_keep_to_the_rate_together(opened: Open, provider: Provider) -> None:
    processes = [opened("50/s") for _ in range(3)]
    began = time.monotonic()
    with ThreadPoolExecutor(12) as threads:
        results = list(threads.map(lambda number: processes[number % 3].send(MAIL), range(60)))

    assert results == ["reference"] * 60
    assert time.monotonic() - began >= 59 / 50, "the first goes at once, and each other one after its interval"


def test_a_mail_by_itself_does_not_wait_and_accounts_do_not_share(opened: Open, provider: Provider) -> None:
    began = time.monotonic()
    for account in ("smtp://one", "smtp://two", "smtp://three"):
        opened("1/m", account).send(MAIL)
    assert time.monotonic() - began < SLACK


def test_a_turn_that_is_too_far_away_is_not_reserved(opened: Open, provider: Provider) -> None:
    sender = opened("1/h")
    sender.send(MAIL)
    for _ in range(3):
        with pytest.raises(Throttled) as caught:
            sender.send(MAIL)
    assert 3500 < caught.value.after < 7300, "three refusals moved the next free moment no further"
    assert len(provider.times) == 1


def test_a_worker_that_stops_waits_no_longer(opened: Open, provider: Provider) -> None:
    stopping = threading.Event()
    sender = opened("1/m", stopping=stopping)
    sender.send(MAIL)
    threading.Timer(0.2, stopping.set).start()
    began = time.monotonic()
    with pytest.raises((RetryLater, Throttled)):
        sender.send(MAIL)
    assert time.monotonic() - began < SLACK
    assert len(provider.times) == 1


def test_without_redis_mails_are_sent_without_a_limit(provider: Provider) -> None:
    away = Limited(provider, Rate.parse("1/h"), "a", redis.Redis(port=1), threading.Event())
    for _ in range(3):
        assert away.send(MAIL) == "reference"


def test_a_key_of_a_wrong_type_stops_no_mail(opened: Open, redis_client: redis.Redis) -> None:
    sender = opened("1/h")
    redis_client.lpush(sender._key, "x")
    assert sender.send(MAIL) == "reference"


def test_a_clock_that_was_set_back_holds_up_no_mail(opened: Open, redis_client: redis.Redis) -> None:
    sender = opened("100/s")
    redis_client.set(sender._key, (redis_client.time()[0] + 3600) * 1_000_000)
    assert sender.send(MAIL) == "reference"


def test_a_backlog_leaves_at_the_rate_without_a_retry(postgres: Postgres, tmp_path: Path) -> None:
    with Servers(tmp_path, postgres).system("rate", MAIL_RATE="20/s") as system:
        system.start()
        for number in range(40):
            system.register(f"user{number}")
        system.until(lambda: system.states() == {"succeeded": 80})

        attempts = system.query("users", "SELECT sum(attempts) FROM deliveries WHERE subscription = 'welcome_email'")
        assert attempts == [(40,)]
        assert system.redis.exists(*system.redis.keys("herald:mail-rate:*")) == 1
