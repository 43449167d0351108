"""The golden messages: one for each published revision of each event, as a publisher writes it."""

import json
from pathlib import Path
from typing import Any

GOLDEN = Path(__file__).parents[2] / "libs/contracts/golden"


def golden(event: str, revision: str | None = None) -> dict[str, Any]:
    """Return the golden message of a revision, such as `golden("user_registered", "1.0")`; else of the newest."""
    return goldens()[f"{event}.{revision or _newest(event)}"]


def _newest(event: str) -> str:
    numbers = [name.removeprefix(f"{event}.") for name in goldens() if name.startswith(f"{event}.")]
    return max(numbers, key=lambda number: [int(part) for part in number.split(".")])


def goldens() -> dict[str, dict[str, Any]]:
    """Return all golden messages, by names such as `user_registered.1.0`."""
    return {path.stem: json.loads(path.read_text("utf-8")) for path in sorted(GOLDEN.glob("*.json"))}
