"""Nothing is lost, whatever is killed. The whole fault ledger comes later; these are the most telling ones."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import redis
from tests.e2e.conftest import System

REGISTRATIONS = 1000


def test_a_thousand_registrations_survive_killed_workers_and_a_flushed_redis(
    system: System, redis_client: redis.Redis
) -> None:
    names = [f"user{index}" for index in range(REGISTRATIONS)]
    with ThreadPoolExecutor(16) as threads:
        answers = threads.map(system.register, names)
        for disaster in (0.25, 0.5, 0.75):
            system.until(lambda: system.query("users", "SELECT count(*) FROM users")[0][0] > disaster * REGISTRATIONS)  # noqa: B023  # called at once
            if disaster == 0.5:
                redis_client.flushall()
            for name in ("notifier", "auditor") if disaster != 0.5 else ():
                system.processes[name].kill()
                system.processes[name].start()
        assert len({answer["id"] for answer in answers}) == REGISTRATIONS

    system.until(lambda: system.states() == {"succeeded": 2 * REGISTRATIONS}, 120)
    expected = sorted(f"{name}@example.com" for name in names)
    assert sorted(system.audited()) == expected
    assert sorted(set(system.sink.recipients)) == expected


def test_a_notifier_killed_in_mid_send_sends_again_by_default(start_system: Callable[..., System]) -> None:
    system = start_system(SMTP_TIMEOUT="4")
    user = _kill_in_mid_send(system)

    system.until(lambda: system.states() == {"succeeded": 2})
    assert set(system.sink.recipients) == {"maya@example.com"}
    assert system.deliveries(user)["welcome_email"]["crashes"] == 1


def test_under_hold_it_waits_for_an_operator_instead(start_system: Callable[..., System]) -> None:
    system = start_system(SMTP_TIMEOUT="4", NOTIFIER_UNCERTAIN="hold")
    user = _kill_in_mid_send(system)

    system.until(lambda: system.states() == {"succeeded": 1, "uncertain": 1})
    before = len(system.sink.mails)
    delivery = system.deliveries(user)["welcome_email"]
    system.run("users-api", "deliveries", "retry", delivery["event_id"], "welcome_email")

    system.until(lambda: system.states() == {"succeeded": 2})
    assert len(system.sink.mails) == before + 1


def _kill_in_mid_send(system: System) -> int:
    """Let a notifier die between the mail's last byte and the server's answer, and start another."""
    system.sink.release.clear()
    user: int = system.register("maya")["id"]
    system.until(lambda: system.sink.begun == 1)
    system.until(lambda: system.deliveries(user)["welcome_email"]["state"] == "running")
    system.processes["notifier"].kill()
    system.sink.release.set()
    system.processes["notifier"].start()
    return user


def test_a_relay_killed_under_load_loses_nothing_and_sends_nothing_twice(system: System) -> None:
    names = [f"user{index}" for index in range(300)]
    with ThreadPoolExecutor(8) as threads:
        registered = threads.map(system.register, names)
        for _ in range(3):
            system.processes["relay"].kill()
            system.processes["relay"].start()
        list(registered)

    system.until(lambda: system.states() == {"succeeded": 600}, 90)
    assert sorted(system.sink.recipients) == sorted(f"{name}@example.com" for name in names)
    assert len(system.audited()) == 300
