"""Checkpoints: what the chain alone can't show, and how their file is written and read."""

import base64
import json
import stat
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from itertools import count
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from auditor.chain import keys
from auditor.chain.checkpoints import Checkpoint, Checkpoints, read_checkpoints
from auditor.chain.sealer import Sealer
from auditor.chain.seals import Head, read_head
from messaging.process.database import open_pool

from .audit_world import Audit

PRIVATE, PUBLIC = keys.new_key()
GROUPS = ((1, 2, 3), (4, 5, 6), (7, 8, 9), (10,))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "checkpoints.jsonl"


def checkpoint(audit: Audit, path: Path) -> None:
    with audit.connection() as connection:
        Checkpoints(path, keys.private_key(PRIVATE)).append(lambda: read_head(connection))


def checkpoints(path: Path) -> list[Checkpoint | int]:
    return list(read_checkpoints(path, keys.public_key(PUBLIC)))


def verified(audit: Audit, path: Path, key: str = PUBLIC) -> tuple[int, str]:
    ended = audit.run("verify", AUDIT_CHECKPOINTS=str(path), AUDIT_PUBLIC_KEY=key)
    return ended.returncode, ended.stdout + ended.stderr


def test_a_log_that_continues_is_verified_up_to_its_newest_checkpoint(audit: Audit, path: Path) -> None:
    for group in GROUPS[:3]:
        audit.write_sealed(group)
        checkpoint(audit, path)
    audit.write_sealed(GROUPS[3])

    assert verified(audit, path) == (
        0,
        "verified: 10 rows in 4 seals, 0 waiting, 0 erased; 3 checkpoints, up to seal 3\n",
    )


@pytest.mark.parametrize(
    "cut",
    [
        ["DELETE FROM audit_log WHERE id > 6", "DELETE FROM audit_seals WHERE seal > 2"],
        ["DELETE FROM audit_log", "DELETE FROM audit_seals"],
    ],
)
def test_a_truncation_is_found_by_a_checkpoint_alone(audit: Audit, path: Path, cut: list[str]) -> None:
    audit.write_sealed(*GROUPS)
    checkpoint(audit, path)
    audit.tamper(*cut)

    assert audit.verify().finding is None
    status, said = verified(audit, path)
    assert status == 1
    assert said.startswith("TAMPERED (truncated): the chain ends with seal")
    assert "a checkpoint knows seal 4 and 10 rows" in said


def test_a_chain_that_was_computed_anew_is_found_by_a_checkpoint_alone(audit: Audit, path: Path) -> None:
    for group in GROUPS[:2]:
        audit.write_sealed(group)
        checkpoint(audit, path)
    audit.tamper("UPDATE audit_log SET email = 'x@example.com' WHERE id = 4", "DELETE FROM audit_seals WHERE seal = 2")
    audit.tamper("INSERT INTO audit_unsealed (ids) VALUES ('{4,5,6}')")
    audit.seal()

    assert audit.verify().finding is None
    status, said = verified(audit, path)
    assert status == 1
    assert said.startswith("TAMPERED (rewritten): seal 2 isn't the one of the checkpoint in line 2")
    assert "first row 4" in said


def test_a_checkpoint_that_was_changed_proves_nothing(audit: Audit, path: Path) -> None:
    audit.write_sealed(*GROUPS)
    checkpoint(audit, path)
    path.write_text(path.read_text().replace('"rows": 10', '"rows": 11'))

    status, said = verified(audit, path)

    assert status == 2
    assert "line 1" in said
    assert "isn't signed by this key" in said


def test_another_key_proves_nothing(audit: Audit, path: Path) -> None:
    audit.write_sealed(*GROUPS)
    checkpoint(audit, path)

    assert verified(audit, path, keys.new_key()[1])[0] == 2
    status, said = verified(audit, path, "no key")
    assert status == 2
    assert "auditor keygen" in said


@pytest.mark.parametrize(
    "arguments", [["--checkpoints", "/nowhere"], ["--checkpoints", "/nowhere", "--public-key", PUBLIC]]
)
def test_a_missing_key_or_file_is_named(audit: Audit, arguments: list[str]) -> None:
    ended = audit.run("verify", *arguments)

    assert ended.returncode == 2
    named = ["/nowhere"] if PUBLIC in arguments else ["--public-key", "AUDIT_PUBLIC_KEY"]
    assert all(each in ended.stderr for each in named)


def test_a_torn_line_is_a_warning_and_the_next_checkpoint_has_a_line_of_its_own(audit: Audit, path: Path) -> None:
    audit.write_sealed(GROUPS[0])
    checkpoint(audit, path)
    with path.open("a") as file:
        file.write('{"seal": 2, "ha')
    audit.write_sealed(GROUPS[1])
    checkpoint(audit, path)

    status, said = verified(audit, path)

    assert status == 0
    assert f"warning: line 2 of {path} isn't a checkpoint" in said
    assert "2 checkpoints, up to seal 2" in said


@pytest.mark.parametrize(
    "line",
    [
        b'{"seal": 1e999, "hash": "00", "rows": 1, "signature": ""}',
        b'{"seal": 1, "hash": "00", "rows": NaN, "signature": ""}',
        b'{"seal": ' + b"9" * 5000 + b', "hash": "00", "rows": 1, "signature": ""}',
        b"[" * 100_000,
        b'{"seal": 1, "hash": "00", "rows": 1, "signature": "", "x": ' + b"[" * 900 + b"]" * 900 + b"}",
        b"[]",
        b"\xff",
    ],
    ids=range(7),
)
def test_an_unreadable_line_is_a_warning_and_never_stops_checkpoints(audit: Audit, path: Path, line: bytes) -> None:
    audit.write_sealed(GROUPS[0])
    path.write_bytes(line + b"\n")
    checkpoint(audit, path)

    status, said = verified(audit, path)

    assert path.read_bytes().count(b"\n") == 2
    assert "Traceback" not in said
    assert (status, "line 1" in said) in {(0, True), (2, True)}


@pytest.mark.parametrize("count", [1, 200])
def test_a_line_that_the_key_did_not_sign_does_not_stop_checkpoints(audit: Audit, path: Path, count: int) -> None:
    audit.write_sealed(GROUPS[0])
    checkpoint(audit, path)
    with path.open("a") as file:
        file.write(f'{{"seal": 999999999, "hash": "{"00" * 32}", "rows": 1, "signature": ""}}\n' * count)

    checkpoint(audit, path)
    assert len(path.read_text().splitlines()) == count + 1, "there is nothing new"
    audit.write_sealed(GROUPS[1])
    checkpoint(audit, path)

    assert json.loads(path.read_text().splitlines()[-1])["seal"] == 2


def test_several_processes_append_each_checkpoint_once_and_in_order(path: Path) -> None:
    reached = count()

    def append(_: int) -> None:
        Checkpoints(path, keys.private_key(PRIVATE)).append(lambda: Head(next(reached) // 4, bytes(32), 0))

    with ThreadPoolExecutor(8) as threads:
        list(threads.map(append, range(200)))

    found = checkpoints(path)
    assert [each.head.seal for each in found if isinstance(each, Checkpoint) and each.is_signed] == [*range(1, 50)]


def test_an_auditor_reports_a_chain_that_ends_before_its_newest_checkpoint(audit: Audit, path: Path) -> None:
    audit.write_sealed(*GROUPS)
    checkpoint(audit, path)
    audit.tamper("DELETE FROM audit_log WHERE id = 10", "DELETE FROM audit_seals WHERE seal = 4")

    with open_pool(audit.url, size=2, name="test") as pool, capture_logs() as logged:
        sealer = Sealer(pool, Checkpoints(path, keys.private_key(PRIVATE)))
        sealer.start()
        sealer.close()

    assert [line["event"] for line in logged] == ["checkpoint.failed"]
    assert "Run: auditor verify" in logged[0]["error"]
    assert len(path.read_text().splitlines()) == 1


def test_a_sealer_writes_a_checkpoint_when_it_is_due_and_when_it_ends(
    audit: Audit, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("auditor.chain.sealer.CHECKPOINT_SECONDS", 0.0)
    monkeypatch.setattr("auditor.chain.sealer.LOOK_SECONDS", 0.05)
    with open_pool(audit.url, size=2, name="test") as pool:
        sealer = Sealer(pool, Checkpoints(path, keys.private_key(PRIVATE)))
        sealer.start()
        with closing(sealer):
            audit.write(1)
            while not path.exists() or not path.read_text():
                pass
            audit.write(2)

    assert [json.loads(line)["rows"] for line in path.read_text().splitlines()] == [1, 2]


def test_the_keys_are_made_once_and_the_private_one_is_for_its_owner_alone(audit: Audit, tmp_path: Path) -> None:
    private = tmp_path / "audit.key"

    made, again = (audit.run("keygen", "--out", str(private)) for _ in range(2))

    assert stat.S_IMODE(private.stat().st_mode) == 0o600
    assert keys.public_text(keys.private_key(private.read_text().strip())) == made.stdout.strip()
    assert "AUDIT_SIGNING_KEY_FILE" in made.stderr
    assert again.returncode == 1
    assert "File exists" in again.stderr


@pytest.mark.parametrize(
    ("variables", "fault"),
    [
        ({"AUDIT_CHECKPOINTS": "x.jsonl"}, "set both, or neither"),
        ({"AUDIT_SIGNING_KEY": PRIVATE}, "set both, or neither"),
        ({"AUDIT_CHECKPOINTS": "x.jsonl", "AUDIT_SIGNING_KEY": PRIVATE[:-6]}, "auditor keygen"),
        ({"AUDIT_CHECKPOINTS": "/no/folder/x", "AUDIT_SIGNING_KEY": PRIVATE}, "a folder that exists"),
        ({"AUDIT_CHECKPOINTS": "/tmp", "AUDIT_SIGNING_KEY": PRIVATE}, "a folder that exists"),
    ],
)
def test_unusable_settings_end_a_worker_with_one_line_that_does_not_quote_the_key(
    audit: Audit, run_worker: Callable[..., tuple[int, str]], variables: dict[str, str], fault: str
) -> None:
    status, said = run_worker(**variables)

    [line] = [line for line in said.splitlines() if "configuration: " in line]
    assert status == 2
    assert fault in line
    assert PRIVATE[:-6] not in said


@pytest.fixture
def run_worker(audit: Audit) -> Callable[..., tuple[int, str]]:
    from .programs import run

    def start(**variables: str) -> tuple[int, str]:
        ended = run("dramatiq", "auditor.worker", "--processes=1", DATABASE_URL=audit.url, **variables)
        return ended.returncode, ended.stdout + ended.stderr

    return start


def test_a_signature_covers_the_line_as_documented(audit: Audit, path: Path) -> None:
    audit.write_sealed(GROUPS[0])
    checkpoint(audit, path)
    fields = json.loads(path.read_text())
    signature = base64.b64decode(fields.pop("signature"))

    signed = json.dumps(fields, sort_keys=True, separators=(",", ":")).encode()

    keys.public_key(PUBLIC).verify(signature, b"herald audit checkpoint 1\n" + signed)
