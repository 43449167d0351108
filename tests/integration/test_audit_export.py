"""Exports: every row once, exact, and enough for others to verify it with their own program."""

import csv
import hashlib
import json
import os
import stat
import struct
import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from auditor.chain import erasing
from devstack.programs import program

from .audit_world import Audit
from .herald_cli import Terminal

GROUPS = ((1, 7, 3), (4, 5, 7))


def exported(audit: Audit, *arguments: str) -> list[dict[str, Any]]:
    ended = audit.run("export", *arguments)
    assert ended.returncode == 0, ended.stderr
    return [json.loads(line) for line in ended.stdout.splitlines()]


def erase(audit: Audit, user_id: int) -> None:
    with audit.connection() as connection:
        erasing.erase(connection, user_id)


def test_every_row_comes_once_in_the_order_of_the_chain(audit: Audit) -> None:
    audit.write_sealed(*GROUPS)
    audit.write(8)

    rows = exported(audit)

    assert [(row["id"], row["seal"]) for row in rows] == [(1, 1), (2, 1), (3, 1), (4, 2), (5, 2), (6, 2), (7, None)]
    assert [row["email"] for row in rows[:3]] == ["user1@example.com", "user7@example.com", "user3@example.com"]


def test_rows_of_a_period_alone(audit: Audit) -> None:
    audit.write_sealed(*GROUPS)
    audit.write(8)
    audit.tamper(
        "UPDATE audit_log SET occurred_at = '2026-01-01T00:00:00Z' WHERE id IN (1, 7)",
        "UPDATE audit_log SET occurred_at = '2026-01-02T00:00:00Z' WHERE id = 4",
    )

    day = exported(audit, "--since", "2026-01-01", "--until", "2026-01-02T00:00:00Z")

    assert [row["id"] for row in day] == [1, 7]
    assert audit.run("export", "--since", "yesterday").returncode == 2


def test_a_file_is_complete_or_not_there_and_for_its_owner_alone(audit: Audit, tmp_path: Path) -> None:
    audit.write_sealed(*GROUPS)
    path = tmp_path / "audit.jsonl"

    assert audit.run("export", "--out", str(path)).returncode == 0
    complete = path.read_text()
    broken = audit.run("export", "--out", str(path), DATABASE_URL="postgresql://postgres@127.0.0.1:1/none")
    nowhere = audit.run("export", "--out", "/no/folder/audit.jsonl")

    assert len(complete.splitlines()) == 6
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert (broken.returncode, nowhere.returncode) == (1, 1)
    assert [each.name for each in tmp_path.iterdir()] == ["audit.jsonl"]
    assert path.read_text() == complete
    assert "No such file or directory" in nowhere.stderr


def test_csv_has_no_formula_for_a_spreadsheet(audit: Audit, tmp_path: Path) -> None:
    audit.write_sealed(*GROUPS)
    audit.tamper(
        "UPDATE audit_log SET email = '=cmd|x@example.com', correlation_id = '\"quoted\", and -1' WHERE id = 1"
    )
    path = tmp_path / "audit.csv"

    assert audit.run("export", "--format", "csv", "--out", str(path)).returncode == 0

    with path.open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["id"] for row in rows] == ["1", "2", "3", "4", "5", "6"]
    assert rows[0]["email"] == "'=cmd|x@example.com"
    assert rows[0]["correlation_id"] == '"quoted", and -1'
    assert rows[1]["email"] == "user7@example.com"
    assert (rows[0]["seal"], rows[0]["commitment"]) == ("1", "")


@pytest.mark.parametrize("what", [[], ["--seals"]])
def test_csv_has_its_header_though_there_is_nothing_and_the_same_with_rows(audit: Audit, what: list[str]) -> None:
    [empty] = audit.run("export", "--format", "csv", *what).stdout.splitlines()
    audit.write_sealed((1,))

    header, _ = audit.run("export", "--format", "csv", *what).stdout.splitlines()
    exported = json.loads(audit.run("export", *what).stdout)

    assert empty.split(",") == header.split(",") == list(exported)


def test_a_full_disk_behind_the_standard_output_is_told(audit: Audit) -> None:
    audit.write_sealed(*GROUPS)

    given = {**os.environ, "DATABASE_URL": audit.url}
    with Path("/dev/full").open("w") as full:
        told = subprocess.run(
            [program("auditor"), "export"], env=given, stdout=full, stderr=subprocess.PIPE, text=True, check=False
        )

    assert (told.returncode, told.stderr) == (1, "auditor export: the standard output: No space left on device\n")


def test_a_terminal_sees_the_progress(audit: Audit) -> None:
    audit.write_sealed(*GROUPS)
    terminal = Terminal("verify", program=program("auditor"), DATABASE_URL=audit.url)

    terminal.until_shown("6/6")
    status, shown = terminal.finish()

    assert status == 0
    assert "verified: 6 rows in " in shown, shown


# Verification by a program that shares nothing with the auditor but docs/audit.md


def test_others_can_verify_an_export_with_a_program_of_their_own(audit: Audit) -> None:
    audit.write_sealed(*GROUPS)
    erase(audit, 7)
    rows, seals = exported(audit), exported(audit, "--seals")

    assert verified(rows, seals)
    assert seals[-1]["rows"] == len(rows) == 7
    for field in ("email", "action", "occurred_at", "correlation_id"):
        changed = [dict(row) for row in rows]
        changed[0][field] = "2026-01-01T00:00:00+00:00" if field == "occurred_at" else "x"
        assert not verified(changed, seals)
    assert not verified(rows, [seals[1], seals[0], *seals[2:]])


def verified(rows: list[dict[str, Any]], seals: list[dict[str, Any]]) -> bool:
    leaves = {row["id"]: leaf(row) for row in rows}
    previous = bytes(32)
    for number, seal in enumerate(seals, 1):
        ids = seal["row_ids"]
        covered = b"".join(leaves[row_id] for row_id in ids)
        head = (
            struct.pack(">q", number)
            + previous
            + micros(seal["sealed_at"])
            + struct.pack(">qq", seal["rows"], len(ids))
        )
        digest = sha256(b"herald audit seal 1\n", head, struct.pack(f">{len(ids)}q", *ids), covered)
        if (seal["seal"], seal["previous"], seal["hash"]) != (number, previous.hex(), digest.hex()):
            return False
        previous = digest
    return True


def leaf(row: dict[str, Any]) -> bytes:
    if row["email"] is not None:
        person = struct.pack(">q", row["user_id"]) + row["email"].encode()
        commitment = sha256(b"herald audit person 1\n", bytes.fromhex(row["salt"]), person)
    else:
        commitment = bytes.fromhex(row["commitment"]) if row["commitment"] else bytes(32)
    texts = [row["action"].encode(), row["correlation_id"].encode()]
    erased = "{" + ",".join(map(str, row["erased"])) + "}" if row["erased"] is not None else ""
    body = struct.pack(">q", row["id"]) + bytes.fromhex(row["event_id"].replace("-", ""))
    body += micros(row["occurred_at"]) + micros(row["recorded_at"])
    body += b"".join(struct.pack(">i", len(text)) + text for text in texts) + erased.encode()
    return sha256(b"herald audit row 1\n", commitment, body)


def sha256(*parts: bytes) -> bytes:
    return hashlib.sha256(b"".join(parts)).digest()


def micros(text: str) -> bytes:
    since_2000 = datetime.fromisoformat(text) - datetime(2000, 1, 1, tzinfo=UTC)
    return struct.pack(">q", since_2000 // timedelta(microseconds=1))
