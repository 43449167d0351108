"""`make contracts` writes openapi.json as a whole, or not at all."""

import subprocess
from pathlib import Path
from shutil import copy

import pytest

MAKEFILE = Path(__file__).parents[2] / "Makefile"


@pytest.mark.parametrize(("status", "expected"), [(0, '{"ü": "$HOME \\n"}\n'), (1, "old")])
def test_a_command_that_fails_leaves_the_committed_document(status: int, expected: str, tmp_path: Path) -> None:
    copy(MAKEFILE, tmp_path)
    document = tmp_path / "services/users-api/openapi.json"
    document.parent.mkdir(parents=True)
    document.write_text("old")
    for name, script in (
        ("contracts", "exit 0"),
        ("users-api", f'echo \'{{"ü": "$HOME \\n"}}\'; exit {status}'),
        ("python", "exit 0"),
    ):
        program = tmp_path / "bin" / name
        program.parent.mkdir(exist_ok=True)
        program.write_text(f"#!/bin/bash\n{script}\n")
        program.chmod(0o755)

    made = subprocess.run(
        ["make", "-o", ".venv/.installed", "BIN=bin", "contracts"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )

    assert (made.returncode == 0) == (status == 0), made.stderr
    assert document.read_text() == expected
    assert [path.name for path in document.parent.iterdir()] == ["openapi.json"]
