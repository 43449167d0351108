"""A person's data goes, the chain stays, and nothing else passes for an erasure."""

import json
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime

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


def test_erasures_at_once_make_one_chain_and_erase_each_person_once(audit: Audit) -> None:
    audit.write_sealed(range(1, 20))

    with ThreadPoolExecutor(6) as threads:
        erased = list(threads.map(lambda user_id: erase(audit, user_id), [*range(1, 9), *range(1, 9)]))

    assert sum(each is not None for each in erased) == 8
    result = audit.verify()
    assert (result.finding, result.rows, result.erased, len(result.erasures)) == (None, 27, 8, 8)


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


def test_a_row_that_the_chain_covers_twice_is_not_erased(audit: Audit) -> None:
    audit.write_sealed(*GROUPS)
    audit.query("INSERT INTO audit_unsealed (ids) VALUES ('{6}') RETURNING 1")

    with pytest.raises(ErasureRefused, match=r"row 6 is covered by the chain twice\. .* auditor verify"):
        erase(audit)

    assert (6, "user7@example.com", 7) in personal(audit)


def test_a_row_that_has_a_commitment_already_is_not_erased_and_the_remedy_finds_it(audit: Audit) -> None:
    audit.write_sealed(*GROUPS)
    audit.tamper("UPDATE audit_log SET commitment = sha256('x') WHERE id = 6")

    refused, verified = audit.run("erase", "--user", "7", "--yes"), audit.run("verify")

    assert refused.returncode == verified.returncode == 1
    assert "row 6 isn't what its seal covers" in refused.stderr
    assert "auditor verify" in refused.stderr
    assert verified.stdout.startswith("TAMPERED (edited): row 6 was edited: it has a commitment")


def test_a_row_that_shares_its_id_is_not_erased(audit: Audit) -> None:
    audit.write_sealed(*GROUPS)
    audit.tamper(
        "ALTER TABLE audit_log DROP CONSTRAINT audit_log_pkey",
        "INSERT INTO audit_log (id, event_id, action, email, user_id, correlation_id, occurred_at)"
        " OVERRIDING SYSTEM VALUE VALUES (6, gen_random_uuid(), 'user_registered', 'x@example.com', 99, 'test', now())",
    )

    with pytest.raises(ErasureRefused, match="row 6 isn't the only one with its id"):
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


FORGERIES = {
    # what is forged: (action, email, user_id, the rows that it names)
    "another action": ("user_registered", None, None, "{2}"),
    "a person": ("personal_data_erased", "x@example.com", 9, "{2}"),
    "a row that is not there": ("personal_data_erased", None, None, "{2,99}"),
    "no row": ("personal_data_erased", None, None, "{}"),
    "no id": ("personal_data_erased", None, None, "{2,NULL}"),
    "a row that has its data": ("personal_data_erased", None, None, "{2,3}"),
    "itself": ("personal_data_erased", None, None, "{2,7}"),
    "a row twice": ("personal_data_erased", None, None, "{2,2}"),
}


@pytest.mark.parametrize("name", FORGERIES)
def test_a_sealed_row_that_passes_for_an_erasure_is_found(audit: Audit, name: str) -> None:
    audit.write_sealed(*GROUPS)
    forge_erasure(audit, *FORGERIES[name])
    audit.query(f"{ERASED_BY_HAND} RETURNING id")

    finding = audit.verify().finding

    assert finding is not None
    assert (finding.kind, finding.row_id) == ("inserted", 7)
    assert "passes for an erasure" in finding.detail


def test_a_second_record_of_the_same_erasure_is_found(audit: Audit) -> None:
    audit.write_sealed(*GROUPS)
    erase(audit)
    forge_erasure(audit, "personal_data_erased", None, None, "{2}")

    finding = audit.verify().finding

    assert finding is not None
    assert (finding.kind, finding.row_id) == ("inserted", 8)


def forge_erasure(audit: Audit, *values: object) -> None:
    audit.query(
        "WITH forged AS (INSERT INTO audit_log (event_id, action, email, user_id, correlation_id, occurred_at, erased)"
        " VALUES (gen_random_uuid(), %s, %s, %s, '', now(), %s::bigint[]) RETURNING id)"
        " INSERT INTO audit_unsealed (ids) SELECT ARRAY[id] FROM forged RETURNING ids",
        values,
    )
    audit.seal()


def test_the_erasures_are_listed_for_a_comparison_with_the_requests(audit: Audit) -> None:
    audit.write_sealed(*GROUPS)
    erase(audit)
    erase(audit, 1)
    records = audit.query("SELECT id, event_id::text, recorded_at FROM audit_log WHERE erased IS NOT NULL")

    listed = json.loads(audit.run("verify", "--json").stdout)["erasures"]

    found = [(each["row_id"], each["event_id"], each["erased"]) for each in listed]
    assert found == [(row_id, event_id, ids) for (row_id, event_id, _), ids in zip(records, [[2, 6], [1]], strict=True)]
    assert [datetime.fromisoformat(each["recorded_at"]) for each in listed] == [at for _, _, at in records]
    assert "0 waiting, 3 erased by 2 erasures\n" in audit.run("verify").stdout


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
    assert dry.stdout == "user 7: rows 2, 6; 1 email address\n"
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


def test_the_command_counts_one_and_none_rightly(audit: Audit) -> None:
    audit.write_sealed(*GROUPS)

    one = audit.run("erase", "--user", "1", "--yes")
    nothing = [audit.run("erase", "--user", "1", "--yes"), audit.run("erase", "--user", "99", "--dry-run")]

    assert one.stdout.splitlines() == [
        "user 1: row 1; 1 email address",
        "erased the personal data of 1 row. Row 7 records it, and seal 3 covers that row.",
    ]
    assert [each.returncode for each in nothing] == [1, 1]
    assert nothing[0].stderr == "auditor erase: user 1: no row of the log holds this user's data\n"


def test_the_command_does_not_print_all_of_a_long_list(audit: Audit) -> None:
    audit.query(
        "INSERT INTO audit_log (event_id, action, email, user_id, correlation_id, occurred_at)"
        " SELECT gen_random_uuid(), 'user_registered', i || '@example.com', 7, 'test', now()"
        " FROM generate_series(1, 12) AS i RETURNING id"
    )

    dry = audit.run("erase", "--user", "7", "--dry-run")

    assert dry.stdout == "user 7: rows 1, 2, 3, 4, 5, 6, 7, 8, 9, 10 and 2 more; 12 email addresses\n"
