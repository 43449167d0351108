"""The committed pact files are what the consumers state."""

import json
from pathlib import Path
from typing import Any

from .pact_files import COMMAND, PACTS, of_own, write
from .pact_readings import OWN, READINGS


def own_pacts(directory: Path) -> dict[str, dict[str, Any]]:
    """Read the pacts of our consumers by file; without their metadata, which names the version of the library."""
    read = {file.name: json.loads(file.read_text("utf-8")) for file in of_own(directory)}
    return {name: {part: pact[part] for part in pact if part != "metadata"} for name, pact in read.items()}


def test_the_committed_pacts_are_what_the_consumers_state(tmp_path: Path) -> None:
    write(tmp_path)
    assert own_pacts(PACTS) == own_pacts(tmp_path), f"run {COMMAND}, and commit what it writes"


def test_every_effect_states_what_it_reads() -> None:
    names = {each.name for each in OWN}
    assert READINGS.keys() == names, "a subscription lacks its entry in pact_readings.READINGS, or has gone"
    stated = {interaction["description"] for pact in own_pacts(PACTS).values() for interaction in pact["interactions"]}
    assert stated == names


def test_what_another_team_hands_in_is_kept_and_what_we_no_longer_state_is_removed(tmp_path: Path) -> None:
    theirs = tmp_path / "notifier-of-sales-users-api.json"
    theirs.write_text(json.dumps({"consumer": {"name": "notifier-of-sales"}, "interactions": []}), "utf-8")
    gone = tmp_path / "notifier-gone.json"
    gone.write_text(json.dumps({"consumer": {"name": "notifier"}, "interactions": []}), "utf-8")

    write(tmp_path)

    assert theirs.exists()
    assert not gone.exists()
    assert theirs.name not in own_pacts(tmp_path)
