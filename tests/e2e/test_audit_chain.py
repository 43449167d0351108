"""The chain with real auditors: two at once, killed in the middle of a seal, stopped in order, with checkpoints."""

import json
from collections.abc import Callable
from pathlib import Path

from auditor.chain.keys import new_key
from chaos.system import System


def test_two_auditors_one_of_which_dies_with_a_seal_written_make_one_chain(
    start_system: Callable[..., System], tmp_path: Path
) -> None:
    private, public = new_key()
    path = tmp_path / "checkpoints.jsonl"
    system = start_system(AUDIT_CHECKPOINTS=str(path), AUDIT_SIGNING_KEY=private)
    system.add("auditor-2", "auditor")
    system.replace("auditor-2", "kill:auditor.sealing:1")
    registered = 0
    while system.processes["auditor-2"].running:
        system.register(f"user{registered}")
        registered += 1
    system.replace("auditor-2")
    for number in range(20):
        system.register(f"late{number}")
    registered += 20

    system.until(lambda: system.states() == {"succeeded": 2 * registered})
    assert system.stop_workers() == {0}

    verified = system.attempt("auditor", "verify", "--public-key", public)
    assert verified.stdout.startswith(f"verified: {registered} rows in "), verified.stdout + verified.stderr
    assert " 0 waiting, 0 erased; " in verified.stdout
    assert json.loads(path.read_text().splitlines()[-1])["rows"] == registered
