"""What an operator does: about a mail in doubt, about a database that is lost. (docs/operating.md)"""

import json
from collections.abc import Callable

from chaos.system import System

MAIL = "welcome_email"


def test_under_hold_it_waits_for_an_operator_instead(start_system: Callable[..., System]) -> None:
    system = start_system(MAIL_TIMEOUT="4", NOTIFIER_UNCERTAIN="hold")
    user = _kill_in_mid_send(system)

    system.until(lambda: system.states() == {"succeeded": 1, "uncertain": 1})
    before = len(system.sink.mails)
    delivery = system.deliveries(user)["welcome_email"]
    system.run("users-api", "deliveries", "retry", delivery["event_id"], "welcome_email")

    system.until(lambda: system.states() == {"succeeded": 2})
    assert len(system.sink.mails) == before + 1


def test_an_operator_decides_at_the_notifier_where_the_evidence_is(start_system: Callable[..., System]) -> None:
    system = start_system(MAIL_TIMEOUT="2", NOTIFIER_UNCERTAIN="hold")
    system.sink.answer = lambda recipient: None  # silence, after it has taken the mail
    users = [system.register(name)["id"] for name in ("maya", "ada")]
    system.until(lambda: system.states() == {"succeeded": 2, "uncertain": 2})
    system.sink.answer = "250 OK"

    listed = [json.loads(line) for line in system.run("notifier", "uncertain", "list", "--json").splitlines()]
    maya, ada = (system.deliveries(user)["welcome_email"]["event_id"] for user in users)
    assert {effect["event_id"] for effect in listed} == {maya, ada}
    assert all("content" in effect["evidence"] for effect in listed)
    assert "MailUncertain" in system.run("notifier", "uncertain", "list")

    for _ in range(2):  # a decision may be repeated
        system.run("notifier", "uncertain", "confirm", maya, "--reference", "250 queued as 7")
        system.until(lambda: system.deliveries(users[0])["welcome_email"]["state"] == "succeeded")
    assert system.deliveries(users[0])["welcome_email"]["reference"] == "250 queued as 7"
    before = len(system.sink.mails)
    system.run("notifier", "uncertain", "resend", ada)
    system.until(lambda: system.states() == {"succeeded": 4})
    assert len(system.sink.mails) == before + 1
    assert "No uncertain effects" in system.run("notifier", "uncertain", "list")


LEDGER = "SELECT state, attempts > 0 FROM deliveries WHERE subscription = 'effect_ledger'"


def test_a_confirmation_waits_for_a_ledger_that_is_away_and_for_a_notifier_that_is_stopped(
    start_system: Callable[..., System],
) -> None:
    system = start_system(MAIL_TIMEOUT="2", NOTIFIER_UNCERTAIN="hold")
    system.sink.answer = lambda recipient: None
    users = [system.register(name)["id"] for name in ("maya", "ada")]
    system.until(lambda: system.states() == {"succeeded": 2, "uncertain": 2})
    system.sink.answer, before = "250 OK", len(system.sink.mails)
    system.query("notifier", "ALTER TABLE effects RENAME TO away")

    system.run("users-api", "deliveries", "confirm", system.deliveries(users[0])[MAIL]["event_id"], MAIL)
    assert system.deliveries(users[0])[MAIL]["state"] == "succeeded"
    system.until(lambda: system.query("users", LEDGER) == [("retrying", True)])
    system.processes["notifier"].kill()
    system.run("users-api", "deliveries", "confirm", system.deliveries(users[1])[MAIL]["event_id"], MAIL)
    system.query("notifier", "ALTER TABLE away RENAME TO effects")
    assert system.query("notifier", "SELECT state FROM effects") == [("uncertain",)] * 2
    system.processes["notifier"].start()

    system.until(lambda: system.query("notifier", "SELECT state FROM effects") == [("done",)] * 2)
    system.until(lambda: [state for state, _ in system.query("users", LEDGER)] == ["succeeded"] * 2)
    assert "No uncertain effects" in system.run("notifier", "uncertain", "list")
    assert len(system.sink.mails) == before

    system.query("notifier", "DELETE FROM effects")  # a backup from before was restored
    system.run("users-api", "replay", "--subscription", "effect_ledger", "--since", "2000-01-01", "--succeeded")
    system.until(lambda: system.query("notifier", "SELECT state FROM effects") == [("done",)] * 2)


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


def test_a_lost_audit_log_is_written_again_from_the_events(system: System) -> None:
    for number in range(20):
        system.register(f"user{number}")
    system.until(lambda: system.states() == {"succeeded": 40})
    system.processes["auditor"].stop()
    system.query("auditor", "DROP SCHEMA public CASCADE; CREATE SCHEMA public")

    system.run("auditor", "migrate")
    system.replace("auditor")
    system.run("users-api", "replay", "--subscription", "audit_log", "--since", "2000-01-01", "--succeeded")

    system.until(lambda: system.states() == {"succeeded": 40})
    assert len(set(system.audited())) == len(system.audited()) == 20
    assert len(system.sink.recipients) == 20
