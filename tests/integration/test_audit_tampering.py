"""Each kind of tampering, by someone who may do everything in the database, is found and named."""

import json
from dataclasses import replace

import pytest

from auditor.chain import hashing
from auditor.chain.rows import read_rows
from auditor.chain.seals import read_groups, snapshot

from .audit_world import Audit

GROUPS = ((1, 2, 3), (4, 5, 6), (7, 8, 9), (10,))
"""Users, and rows: each group has one seal."""

TAMPERINGS = {
    # what is done: (statements, kind, first bad row, seal)
    "an address": (["UPDATE audit_log SET email = 'x@example.com' WHERE id = 5"], "edited", 5, 2),
    "a letter of an action": (["UPDATE audit_log SET action = 'user_registereD' WHERE id = 5"], "edited", 5, 2),
    "a user": (["UPDATE audit_log SET user_id = 1 WHERE id = 5"], "edited", 5, 2),
    "an event": (["UPDATE audit_log SET event_id = gen_random_uuid() WHERE id = 5"], "edited", 5, 2),
    "a correlation": (["UPDATE audit_log SET correlation_id = 'tesT' WHERE id = 5"], "edited", 5, 2),
    "a microsecond": (
        ["UPDATE audit_log SET occurred_at = occurred_at + interval '1 microsecond' WHERE id = 5"],
        "edited",
        5,
        2,
    ),
    "when it was recorded": (["UPDATE audit_log SET recorded_at = now() WHERE id = 5"], "edited", 5, 2),
    "a letter moved between columns": (
        ["UPDATE audit_log SET action = action || 't', correlation_id = 'est' WHERE id = 5"],
        "edited",
        5,
        2,
    ),
    "a row that passes for an erasure": (["UPDATE audit_log SET erased = '{1}' WHERE id = 5"], "edited", 5, 2),
    "an address removed": (["UPDATE audit_log SET email = NULL WHERE id = 5"], "edited", 5, 2),
    "personal data removed": (["UPDATE audit_log SET email = NULL, user_id = NULL WHERE id = 5"], "edited", 5, 2),
    "a commitment of a row that is not erased": (
        ["UPDATE audit_log SET commitment = sha256('x') WHERE id = 5"],
        "edited",
        5,
        2,
    ),
    "a row deleted": (["DELETE FROM audit_log WHERE id = 5"], "deleted", 5, 2),
    "the last row deleted": (["DELETE FROM audit_log WHERE id = 10"], "deleted", 10, 4),
    "two rows exchanged": (
        [
            "ALTER TABLE audit_log ALTER id DROP IDENTITY",
            "UPDATE audit_log SET id = 99 WHERE id = 5",
            "UPDATE audit_log SET id = 5 WHERE id = 8",
            "UPDATE audit_log SET id = 8 WHERE id = 99",
        ],
        "edited",
        5,
        2,
    ),
    "two ids exchanged in a seal": (
        ["UPDATE audit_seals SET row_ids = '{5,4,6}' WHERE seal = 2"],
        "edited",
        5,
        2,
    ),
    "two seals exchanged": (
        [
            "UPDATE audit_seals SET seal = 99 WHERE seal = 2",
            "UPDATE audit_seals SET seal = 2 WHERE seal = 3",
            "UPDATE audit_seals SET seal = 3 WHERE seal = 99",
        ],
        "broken",
        7,
        2,
    ),
    "a row inserted": (
        [
            "INSERT INTO audit_log (event_id, action, email, user_id, correlation_id, occurred_at)"
            " VALUES (gen_random_uuid(), 'user_registered', 'x@example.com', 11, 'test', now())"
        ],
        "inserted",
        11,
        None,
    ),
    "a row inserted into a seal": (
        [
            "INSERT INTO audit_log (event_id, action, email, user_id, correlation_id, occurred_at)"
            " VALUES (gen_random_uuid(), 'user_registered', 'x@example.com', 11, 'test', now())",
            "UPDATE audit_seals SET row_ids = row_ids || 11::bigint WHERE seal = 2",
        ],
        "broken",
        4,
        2,
    ),
    "a seal deleted": (["DELETE FROM audit_seals WHERE seal = 2"], "deleted", None, 2),
    "a seal and its rows deleted": (
        ["DELETE FROM audit_log WHERE id IN (4, 5, 6)", "DELETE FROM audit_seals WHERE seal = 2"],
        "deleted",
        None,
        2,
    ),
    "the first seal and its rows deleted": (
        ["DELETE FROM audit_log WHERE id < 4", "DELETE FROM audit_seals WHERE seal = 1"],
        "deleted",
        None,
        1,
    ),
    "the last seal without its row": (["DELETE FROM audit_seals WHERE seal = 4"], "inserted", 10, None),
    "a seal's time": (["UPDATE audit_seals SET sealed_at = now() WHERE seal = 2"], "broken", 4, 2),
    "a seal's count": (["UPDATE audit_seals SET rows = 7 WHERE seal = 2"], "broken", 4, 2),
    "a seal's hash": (["UPDATE audit_seals SET hash = sha256('x') WHERE seal = 2"], "broken", 4, 2),
    "a row taken out of a seal": (
        [
            "DELETE FROM audit_log WHERE id = 6",
            "UPDATE audit_seals SET row_ids = '{4,5}', leaves = substr(leaves, 1, 64), salts = substr(salts, 1, 32)"
            " WHERE seal = 2",
        ],
        "broken",
        4,
        2,
    ),
    "a seal emptied": (["UPDATE audit_seals SET row_ids = '{}' WHERE seal = 2"], "broken", None, 2),
    "a hole in a seal": (["UPDATE audit_seals SET row_ids = '{4,NULL,6}' WHERE seal = 2"], "broken", 4, 2),
    "salts exchanged": (
        ["UPDATE audit_seals SET salts = substr(salts, 17) || substr(salts, 1, 16) WHERE seal = 2"],
        "edited",
        4,
        2,
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", TAMPERINGS)
def test_it_is_found_and_the_first_bad_row_is_named(audit: Audit, name: str) -> None:
    audit.write_sealed(*GROUPS)
    assert audit.verify().finding is None
    events = dict(audit.query("SELECT id, event_id FROM audit_log"))
    statements, kind, row_id, seal = TAMPERINGS[name]

    audit.tamper(*statements)

    finding = audit.verify().finding
    assert finding is not None
    assert (finding.kind, finding.row_id, finding.seal) == (kind, row_id, seal)
    untouched = row_id is not None and kind == "edited" and "exchanged" not in name and name != "an event"
    assert not untouched or finding.event_id == events[row_id]


FORGED = (
    "INSERT INTO audit_log (id, event_id, action, email, user_id, correlation_id, occurred_at) OVERRIDING SYSTEM VALUE"
    " SELECT id, gen_random_uuid(), action, 'x@example.com', 99, 'test', now() FROM audit_log WHERE id = {}"
)
REREAD_LAST = "UPDATE audit_log SET action = action WHERE id = {} AND user_id <> 99"


@pytest.mark.parametrize("row_id", [5, 11], ids=["sealed", "waiting"])
@pytest.mark.parametrize("more", [(), (REREAD_LAST,), ("CREATE INDEX audit_log_pkey ON audit_log (id)", REREAD_LAST)])
def test_a_row_with_the_id_of_another_is_found(audit: Audit, row_id: int, more: tuple[str, ...]) -> None:
    audit.write_sealed(*GROUPS)
    audit.write(11)
    statements = ("ALTER TABLE audit_log DROP CONSTRAINT audit_log_pkey", FORGED, *more)
    audit.tamper(*(statement.format(row_id) for statement in statements))

    finding = audit.verify().finding

    assert finding is not None
    assert (finding.kind, finding.row_id) == ("inserted", row_id)
    assert f"several have the id {row_id}" in finding.detail


def test_a_row_that_is_queued_again_is_found_before_and_after_it_is_sealed_again(audit: Audit) -> None:
    audit.write_sealed(*GROUPS)
    audit.query("INSERT INTO audit_unsealed (ids) VALUES ('{5}') RETURNING 1")

    before = audit.verify().finding
    audit.seal()
    after = audit.verify().finding

    assert before is not None
    assert before == after
    assert (before.kind, before.row_id) == ("inserted", 5)
    assert before.event_id == audit.query("SELECT event_id FROM audit_log WHERE id = 5")[0][0]


def test_a_second_cover_does_not_make_room_for_a_forged_row(audit: Audit) -> None:
    audit.write_sealed(*GROUPS)
    audit.query("INSERT INTO audit_unsealed (ids) VALUES ('{5}') RETURNING 1")
    audit.seal()
    audit.tamper(
        "INSERT INTO audit_log (event_id, action, email, user_id, correlation_id, occurred_at)"
        " VALUES (gen_random_uuid(), 'user_registered', 'x@example.com', 11, 'test', now())"
    )

    finding = audit.verify().finding

    assert finding is not None
    assert (finding.kind, finding.row_id) == ("inserted", 5)


def test_a_seal_that_was_computed_anew_does_not_fit_the_next(audit: Audit) -> None:
    audit.write_sealed(*GROUPS)
    audit.tamper("UPDATE audit_log SET email = 'x@example.com' WHERE id = 5")
    with audit.connection() as connection, snapshot(connection):
        old = next(seal for group in read_groups(connection) for seal in group if seal.number == 2)
        rows = read_rows(connection, old.row_ids)
    salts = hashing.parts(old.salts, hashing.SALT_BYTES)
    leaves = b"".join(rows[row_id].leaf(salt) for row_id, salt in zip(old.row_ids, salts, strict=True))
    forged = replace(old, leaves=leaves).computed
    audit.tamper(f"UPDATE audit_seals SET leaves = '\\x{leaves.hex()}', hash = '\\x{forged.hex()}' WHERE seal = 2")

    finding = audit.verify().finding

    assert finding is not None
    assert (finding.kind, finding.seal, finding.row_id) == ("broken", 3, 7)
    assert "doesn't follow seal 2" in finding.detail


def test_a_row_that_was_deleted_before_it_was_sealed_is_missed(audit: Audit) -> None:
    audit.write(1, 2, 3)
    audit.tamper("DELETE FROM audit_log WHERE id = 2")

    before = audit.verify().finding
    audit.seal()
    after = audit.verify().finding

    assert before is not None
    assert after is not None
    assert (before.kind, before.row_id) == (after.kind, after.row_id) == ("deleted", 2)


def test_a_row_that_was_taken_from_the_queue_is_found(audit: Audit) -> None:
    audit.write_sealed((1,))
    audit.write(2)
    audit.tamper("DELETE FROM audit_unsealed")

    finding = audit.verify().finding

    assert finding is not None
    assert (finding.kind, finding.row_id) == ("inserted", 2)


def test_the_command_names_the_row_and_ends_with_status_1(audit: Audit) -> None:
    audit.write_sealed(*GROUPS)
    audit.tamper("UPDATE audit_log SET email = 'x@example.com' WHERE id = 5")
    [(event_id,)] = audit.query("SELECT event_id FROM audit_log WHERE id = 5")

    ended, as_json = audit.run("verify"), audit.run("verify", "--json")

    assert ended.returncode == as_json.returncode == 1
    assert ended.stdout == f"TAMPERED (edited): row 5 was edited (event {event_id})\n"
    assert "example.com" not in ended.stdout + ended.stderr
    found = json.loads(as_json.stdout)
    assert (found["verdict"], found["finding"]["row_id"]) == ("tampered", 5)


def test_the_command_says_what_is_verified_and_what_it_cannot_see(audit: Audit) -> None:
    audit.write_sealed(*GROUPS)
    audit.write(11)

    ended = audit.run("verify")

    assert ended.returncode == 0
    assert ended.stdout == "verified: 10 rows in 4 seals, 1 waiting, 0 erased\n"
    assert "Without checkpoints" in ended.stderr


def test_a_row_that_waits_for_long_is_a_warning(audit: Audit) -> None:
    audit.write(1)
    audit.tamper("UPDATE audit_log SET recorded_at = now() - interval '2 minutes'")

    ended = audit.run("verify")

    assert ended.returncode == 0
    assert "check that an auditor is running" in ended.stderr


@pytest.mark.parametrize("url", ["postgresql://postgres@127.0.0.1:1/none", "postgres"])
def test_what_cannot_be_verified_ends_with_status_2(audit: Audit, url: str) -> None:
    empty = audit.url.rsplit("/", 1)[0] + "/postgres"

    ended = audit.run("verify", DATABASE_URL=empty if url == "postgres" else url)

    assert ended.returncode == 2
    assert ("auditor migrate" if url == "postgres" else "DATABASE_URL") in ended.stderr
    assert "Traceback" not in ended.stderr
