"""The committed pact files are what the consumers state."""

import json
from pathlib import Path
from typing import Any

from .pact_files import COMMAND, PACTS, write
from .pact_readings import OWN, READINGS


def pacts(directory: Path) -> dict[str, dict[str, Any]]:
    """Read the pacts of a directory by file; without their metadata, which names the version of the library."""
    read = {file.name: json.loads(file.read_text("utf-8")) for file in directory.glob("*")}
    return {name: {part: pact[part] for part in pact if part != "metadata"} for name, pact in read.items()}


def test_the_committed_pacts_are_what_the_consumers_state(tmp_path: Path) -> None:
    write(tmp_path)
    assert pacts(PACTS) == pacts(tmp_path), f"run {COMMAND}, and commit what it writes"


def test_every_effect_states_what_it_reads() -> None:
    names = {each.name for each in OWN}
    assert READINGS.keys() == names, "a subscription lacks its entry in pact_readings.READINGS, or has gone"
    stated = {interaction["description"] for pact in pacts(PACTS).values() for interaction in pact["interactions"]}
    assert stated == names
