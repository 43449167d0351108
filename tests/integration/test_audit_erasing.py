"""A person's data goes, the chain stays, and nothing else passes for an erasure."""

import psycopg
import pytest
from tests.conftest import user_registered

from auditor.chain import erasing
from auditor.chain.erasing import ErasureRefused
from auditor.handlers import record

from .audit_world import Audit

GROUPS = ((1, 7, 3), (4, 5, 7))


def erase(audit: Audit, user_id: int = 7) -> erasing.Erasure | None:
    with audit.connection() as connection:
        return erasing.erase(connection, user_id)


def personal(audit: Audit) -> list[tuple[object, ...]]:
    return audit.query("SELECT id, email, user_id FROM audit_log WHERE erased IS NULL ORDER BY id")


def test_the_data_is_gone_the_rest_stays_and_the_chain_verifies(audit: Audit) -> None:
    audit.write_sealed(*GROUPS)
    before = personal(audit)

    erased = erase(audit)

    assert erased == erasing.Erasure([2, 6], 7, 3)
    assert personal(audit) == [(i, None, None) if i in {2, 6} else (i, email, user) for i, email, user in before]
    result = audit.verify()
    assert (result.finding, result.rows, result.erased, result.waiting) == (None, 7, 2, 0)


def test_nothing_is_left_to_guess_the_data_from(audit: Audit) -> None:
    audit.write_sealed(*GROUPS)
    [(salts,)] = audit.query("SELECT salts FROM audit_seals WHERE seal = 1")

    erase(audit)

    [(left,)] = audit.query("SELECT salts FROM audit_seals WHERE seal = 1")
    assert left == salts[:16] + bytes(16) + salts[32:]
    [(kept,)] = audit.query("SELECT count(*) FROM audit_log WHERE audit_log::text LIKE '%%user7@%%'")
    assert kept == 0


def test_the_erasure_is_a_row_of_its_own_that_names_the_rows(audit: Audit) -> None:
    audit.write_sealed(*GROUPS)
    erase(audit)

    recorded = audit.query("SELECT action, email, user_id, erased FROM audit_log WHERE id = 7")

    assert recorded == [("personal_data_erased", None, None, [2, 6])]


def test_rows_that_wait_are_sealed_first(audit: Audit) -> None:
    audit.write_sealed(GROUPS[0])
    audit.write(*GROUPS[1])

    erased = erase(audit)

    assert erased is not None
    assert erased.ids == [2, 6]
    assert audit.verify().finding is None


def test_the_same_person_can_be_erased_again_when_there_is_more(audit: Audit) -> None:
    audit.write_sealed(GROUPS[0])
    erase(audit)
    assert erase(audit) is None
    audit.write_sealed(GROUPS[1])

    erased = erase(audit)

    assert erased is not None
    assert audit.verify().finding is None
    assert audit.verify().erased == 2


def test_an_event_that_comes_again_does_not_bring_the_data_back(audit: Audit) -> None:
    event = user_registered(7)
    with audit.connection() as connection:
        record(connection, [event])
        erase(audit)
        record(connection, [event])

    assert personal(audit) == [(1, None, None)]
    assert audit.verify().finding is None


@pytest.mark.parametrize(
    "change",
    ["UPDATE audit_log SET email = 'x@example.com' WHERE id = 2", "UPDATE audit_log SET action = 'x' WHERE id = 6"],
)
def test_a_row_that_was_tampered_with_is_not_erased(audit: Audit, change: str) -> None:
    audit.write_sealed(*GROUPS)
    audit.tamper(change)
    before = personal(audit)

    with pytest.raises(ErasureRefused, match="auditor verify"):
        erase(audit)

    assert personal(audit) == before
    assert audit.query("SELECT count(*) FROM audit_seals") == [(2,)]


def test_a_row_that_no_seal_covers_is_not_erased(audit: Audit) -> None:
    audit.write(7)
    audit.tamper("DELETE FROM audit_unsealed")

    with pytest.raises(ErasureRefused, match="row 1"):
        erase(audit)


ERASED_BY_HAND = (
    "UPDATE audit_log SET email = NULL, user_id = NULL, commitment = sha256('herald audit person 1' || '\\x0a'::bytea"
    " || (SELECT substr(salts, 17, 16) FROM audit_seals WHERE seal = 1) || int8send(user_id)"
    " || convert_to(email, 'UTF8')) WHERE id = 2"
)


def test_an_attacker_who_imitates_an_erasure_is_found(audit: Audit) -> None:
    """The commitment is right; only the record is missing. This succeeds by the trigger's rules."""
    audit.write_sealed(*GROUPS)
    audit.query(f"{ERASED_BY_HAND} RETURNING id")

    finding = audit.verify().finding

    assert finding is not None
    assert (finding.kind, finding.row_id) == ("edited", 2)
    assert "no sealed erasure names it" in finding.detail


def test_a_record_that_is_not_sealed_explains_nothing(audit: Audit) -> None:
    audit.write_sealed(*GROUPS)
    audit.query(f"{ERASED_BY_HAND} RETURNING id")
    audit.query(
        "WITH forged AS (INSERT INTO audit_log (event_id, action, correlation_id, occurred_at, erased)"
        " VALUES (gen_random_uuid(), 'personal_data_erased', '', now(), '{2}') RETURNING id)"
        " INSERT INTO audit_unsealed (ids) SELECT ARRAY[id] FROM forged RETURNING ids"
    )

    finding = audit.verify().finding

    assert finding is not None
    assert (finding.kind, finding.row_id) == ("edited", 2)


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE audit_log SET email = 'user7@example.com', user_id = 7, commitment = NULL WHERE id = 2",
        "UPDATE audit_log SET commitment = sha256('x') WHERE id = 2",
        "UPDATE audit_log SET commitment = NULL WHERE id = 2",
        "UPDATE audit_log SET erased = '{2}' WHERE id = 7",
        "UPDATE audit_log SET erased = NULL, commitment = sha256('x') WHERE id = 7",
        "UPDATE audit_log SET action = 'x' WHERE id = 2",
    ],
)
def test_what_an_erasure_leaves_is_protected_too(audit: Audit, change: str) -> None:
    audit.write_sealed(*GROUPS)
    erase(audit)
    audit.tamper(change)

    finding = audit.verify().finding

    assert finding is not None
    assert (finding.kind, finding.row_id) == ("edited", 7 if change.endswith(" id = 7") else 2)


def test_an_erased_row_cannot_be_erased_again_by_hand(audit: Audit) -> None:
    audit.write_sealed(*GROUPS)
    erase(audit)

    with pytest.raises(psycopg.errors.InsufficientPrivilege, match="append-only"):
        audit.query("UPDATE audit_log SET commitment = sha256('x') WHERE id = 2 RETURNING id")


def test_the_command_shows_what_it_would_do_and_wants_a_yes(audit: Audit) -> None:
    audit.write_sealed(*GROUPS)

    dry = audit.run("erase", "--user", "7", "--dry-run")
    without = audit.run("erase", "--user", "7")
    assert dry.stdout == "user 7: 2 rows with 1 email addresses (2, 6)\n"
    assert (dry.returncode, without.returncode) == (0, 1)
    assert (2, "user7@example.com", 7) in personal(audit)

    done = audit.run("erase", "--user", "7", "--yes")

    assert done.stdout.splitlines()[1] == (
        "erased the personal data of 2 rows. Row 7 records it, and seal 3 covers that row."
    )
    assert "example.com" not in dry.stdout + done.stdout
    lines = [line.split(" | ")[1:] for line in audit.run("log").stdout.splitlines()]
    assert lines.count(["user_registered", "[erased]"]) == 2
    assert lines[-1] == ["personal_data_erased", "[erased]"]
