"""PostgreSQL's errors hold whole rows (DETAIL) and parameters (CONTEXT). Nothing that Herald says repeats them."""

import pytest

from chaos.system import System

NAMES = ("users-api", "relay", "notifier", "auditor")

RAISING = """
CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN {how}; RETURN NEW; END $$;
CREATE TRIGGER refuses BEFORE INSERT ON audit_log FOR EACH ROW EXECUTE FUNCTION refuse()
"""


def assert_nobody_is_named(system: System, user_id: int) -> None:
    assert "maya" not in str(system.deliveries(user_id)).casefold()
    for name in NAMES:
        assert "maya" not in system.log(name).casefold(), name


def errors(system: System, user_id: int) -> dict[str, str]:
    """Wait until each effect of a user has failed once, and return the errors."""
    system.until(lambda: all(each["last_error"] for each in system.deliveries(user_id).values()))
    return {name: each["last_error"] for name, each in system.deliveries(user_id).items()}


def test_a_constraint_that_refuses_effects_is_named_and_no_row_is(system: System) -> None:
    system.query("auditor", "ALTER TABLE audit_log ADD CONSTRAINT never CHECK (false) NOT VALID")
    system.query("notifier", "ALTER TABLE effects ADD CONSTRAINT never CHECK (false) NOT VALID")

    told = errors(system, system.register("maya")["id"])

    assert told == {
        "audit_log": 'CheckViolation: 23514: new row for relation "audit_log" violates check constraint "never"',
        "welcome_email": 'CheckViolation: 23514: new row for relation "effects" violates check constraint "never"',
    }
    assert "Traceback" in system.log("auditor"), "where it came from is still said"
    assert_nobody_is_named(system, 1)


@pytest.mark.parametrize(
    ("how", "says"),
    [
        ("RAISE 'no % here', NEW.email", "P0001: no [address] here"),
        ("RAISE 'no \"%\" here', replace(NEW.email, '@', ' at ')", 'P0001: no "…" here'),
        ("PERFORM NEW.email::int", '22P02: invalid input syntax for type integer: "…"'),
        ("PERFORM format('{\"%s', NEW.email)::json", "22P02: invalid input syntax for type json"),
        ("EXECUTE 'SELECT ' || quote_literal(NEW.email) || '::date'", '22007: invalid input syntax for type date: "…"'),
        ("PERFORM 1 / (length(NEW.email) - length(NEW.email))", "22012: division by zero"),
    ],
)
def test_a_message_that_quotes_a_value_is_cut(system: System, how: str, says: str) -> None:
    system.query("auditor", RAISING.format(how=how))
    user_id = system.register("maya")["id"]
    system.until(lambda: bool(system.deliveries(user_id)["audit_log"]["last_error"]))

    assert system.deliveries(user_id)["audit_log"]["last_error"].partition(": ")[2] == says
    assert_nobody_is_named(system, user_id)


def test_a_registration_that_a_constraint_refuses_is_500_and_nobody_is_named(system: System) -> None:
    system.query("users", "ALTER TABLE users ADD CONSTRAINT never CHECK (email NOT LIKE 'maya%')")

    answer = system.http.post("/users", json={"email": "maya@example.com", "full_name": "Maya Chen"})

    assert answer.status_code == 500
    assert "maya" not in answer.text
    assert "23514: new row for relation" in system.log("users-api")
    assert "maya" not in system.log("users-api").casefold()


def test_a_constraint_that_refuses_what_the_relay_writes_is_named_and_no_row_is(system: System) -> None:
    system.query("users", "ALTER TABLE deliveries ADD CONSTRAINT never CHECK (state <> 'queued') NOT VALID")
    system.query("users", "ALTER TABLE deliveries ALTER last_error SET DEFAULT 'maya@example.com'")
    system.register("maya")

    system.until(lambda: "23514: new row for relation" in system.log("relay"))
    assert "maya" not in system.log("relay").casefold()
