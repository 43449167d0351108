"""README's walk from `POST /users` to a recorded mail names files and functions that exist, and never turns back."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SECTION = (ROOT / "README.md").read_text().partition("## Follow one event")[2].partition("\n## ")[0]
STEPS = re.findall(r"^\d+\. \[`[^`]+`\]\(([^)]+)\) `(\w+)`", SECTION, re.MULTILINE)


def test_the_walk_has_at_most_30_steps_and_comes_to_no_file_twice() -> None:
    numbered = re.findall(r"^(\d+)\. ", SECTION, re.MULTILINE)
    assert numbered == [str(number) for number in range(1, len(STEPS) + 1)]
    assert 20 < len(STEPS) <= 30
    assert len({path for path, _ in STEPS}) == len(STEPS)


@pytest.mark.parametrize(("path", "name"), STEPS)
def test_a_step_is_in_its_file(path: str, name: str) -> None:
    text = (ROOT / path).read_text()
    assert re.search(rf"^\s*((async )?def {name}\(|{name}\b[^=\n]*=)", text, re.MULTILINE)
