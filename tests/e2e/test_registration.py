"""A registration, from the request to its last effect."""

from concurrent.futures import ThreadPoolExecutor
from typing import cast

import redis

from chaos.system import System


def test_maya_registers_and_is_welcomed_and_audited(system: System) -> None:
    body = {"email": "maya@example.com", "full_name": "Maya Chen"}
    answer = system.http.post("/users", json=body)

    assert answer.status_code == 201
    assert answer.json() == {"id": 1, **body, "message": "User created. Background tasks scheduled."}
    assert answer.headers["location"] == "/users/1"

    system.until(lambda: system.states() == {"succeeded": 2})
    [mail] = system.sink.mails
    text = mail.get_body(("plain",))
    assert (mail["To"], mail["X-Recipient"]) == ("Maya Chen <maya@example.com>", "maya@example.com")
    assert text is not None
    assert "Maya Chen" in text.get_content()
    assert system.audited() == ["maya@example.com"]
    assert system.run("auditor", "log").rstrip().endswith(" | user_registered | maya@example.com")

    deliveries = system.deliveries(1)
    assert {name: each["state"] for name, each in deliveries.items()} == {
        "welcome_email": "succeeded",
        "audit_log": "succeeded",
    }
    assert str(deliveries["welcome_email"]["event_id"]) in mail["Message-ID"]


def test_a_correlation_id_goes_through_every_log_and_no_address_does(system: System) -> None:
    system.register("maya", **{"X-Correlation-ID": "trace-me-42"})
    system.until(lambda: system.states() == {"succeeded": 2})

    for name in ("users-api", "notifier", "auditor"):
        system.until(lambda: "trace-me-42" in system.log(name))  # noqa: B023  # called at once
        assert "maya" not in system.log(name)


def test_the_same_message_delivered_twice_has_one_effect(system: System, redis_client: redis.Redis) -> None:
    for name in ("notifier", "auditor"):
        system.processes[name].stop()
    system.register("maya")
    system.until(lambda: system.states() == {"queued": 2})
    for queue in ("notifier", "auditor"):
        [(message_id, data)] = cast(dict[bytes, bytes], redis_client.hgetall(f"dramatiq:{queue}.msgs")).items()
        for copy in range(5):
            twin = f"twin-{copy}".encode()
            redis_client.hset(f"dramatiq:{queue}.msgs", twin, data.replace(message_id, twin))
            redis_client.rpush(f"dramatiq:{queue}", twin)

    for name in ("notifier", "auditor"):
        system.processes[name].start()

    system.until(lambda: system.states() == {"succeeded": 2})
    system.until(lambda: redis_client.hlen("dramatiq:notifier.msgs") + redis_client.hlen("dramatiq:auditor.msgs") == 0)
    assert system.sink.recipients == ["maya@example.com"]
    assert system.audited() == ["maya@example.com"]


def test_with_redis_and_smtp_stopped_registrations_go_on_and_effects_follow(system: System) -> None:
    system.redis_server.stop()
    system.sink.stop()
    try:
        with ThreadPoolExecutor(4) as threads:
            list(threads.map(system.register, [f"user{index}" for index in range(20)]))
        assert {each["state"] for each in system.deliveries(1).values()} <= {"pending", "queued"}
    finally:
        system.redis_server.start()
    system.until(lambda: len(system.audited()) == 20)
    system.until(lambda: system.states().get("retrying", 0) > 0)

    system.sink.start()

    system.until(lambda: system.states() == {"succeeded": 40})
    assert sorted(system.sink.recipients) == sorted(f"user{index}@example.com" for index in range(20))


def test_a_refused_mail_fails_at_once_and_an_operator_can_retry_it(system: System) -> None:
    system.sink.answer = "550 no such mailbox"
    user = system.register("maya")
    system.until(lambda: system.states() == {"succeeded": 1, "failed": 1})
    delivery = system.deliveries(user["id"])["welcome_email"]
    assert delivery["attempts"] == 1
    assert "550" in delivery["last_error"]
    assert delivery["event_id"] in system.run("users-api", "deliveries", "list", "--state", "failed", "--json")

    system.sink.answer = "250 OK"
    answer = system.http.post(f"/deliveries/{delivery['event_id']}/welcome_email/retry")

    assert answer.status_code == 202
    system.until(lambda: system.states() == {"succeeded": 2})
    assert system.sink.recipients == ["maya@example.com"]


def test_a_deferred_mail_is_tried_again(system: System) -> None:
    system.sink.answer = "450 try later"
    user = system.register("maya")
    system.until(lambda: system.states() == {"succeeded": 1, "retrying": 1})

    system.sink.answer = "250 OK"

    system.until(lambda: system.states() == {"succeeded": 2})
    assert system.deliveries(user["id"])["welcome_email"]["attempts"] >= 2
    assert len(system.sink.mails) == 1


def test_everything_ends_in_order_on_sigterm(system: System) -> None:
    system.register("maya")
    system.until(lambda: system.states() == {"succeeded": 2})

    system.stop()

    assert {name: process.returncode for name, process in system.processes.items()} == dict.fromkeys(
        system.processes, 0
    )
