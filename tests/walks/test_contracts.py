"""The walks of docs/contracts.md, carried out in a copy of the repository with the commands that the page names."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from .walk import ROOT, Command, Edit, copy_to, sources, steps

PAGE = ROOT / "docs/contracts.md"
BIN = Path(sys.executable).parent
OTHERS = (
    "test_against.py",
    "test_can_deploy.py",
    "test_checksums.py",
    "test_compatibility.py",
    "test_fetching.py",
    "test_lost.py",
    "test_publishing.py",
    "test_shapes.py",
    "test_wheel.py",
)
"""Tests of the tools, which have an event of their own."""

PLUGINS = "-p no:cacheprovider -p no:schemathesis -p no:hypothesispytest -p no:xdist"
"""What these tests don't need takes seconds to load."""


def run(line: str, root: Path) -> subprocess.CompletedProcess[str]:
    """Run a command of the page; `make` uses this environment, and doesn't look whether it is up to date."""
    command = line.replace(".venv/bin/", f"{BIN}/").replace("make ", f"make --silent -o .venv/.installed BIN={BIN} ", 1)
    path = os.pathsep.join(map(str, sources(root)))
    return subprocess.run(
        command,
        shell=True,
        cwd=root,
        env={**os.environ, "PYTHONPATH": path, "PATH": f"{BIN}:{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize("title", ["Add a field", "Add a version", "Add an event", "Add a consumer"])
def test_a_walk_ends_in_a_contract_that_may_be_deployed(title: str, tmp_path: Path) -> None:
    copy_to(tmp_path)
    (tmp_path / "docs").mkdir()
    for step in steps(title, PAGE):
        if isinstance(step, Edit):
            step.apply(tmp_path)
            continue
        done = run(step.line, tmp_path)
        assert "Traceback" not in done.stderr, done.stderr
        assert (done.returncode == 0) == (not step.prints.startswith("no")), done.stdout + done.stderr
        if step.prints:
            printed, _, _ = done.stdout.partition("\nmake: ")
            assert printed == step.prints
    assert run("make contracts-check", tmp_path).returncode == 0
    others = " ".join(f"--ignore=tests/contract/{name}" for name in OTHERS)
    tested = run(f"pytest -q {PLUGINS} --noconftest tests/contract {others}", tmp_path)
    assert tested.returncode == 0, tested.stdout


def test_the_command_before_a_deploy_says_yes() -> None:
    [command] = [step for step in steps("Before a deploy", PAGE) if isinstance(step, Command)]

    done = run(command.line, ROOT)

    assert done.returncode == 0, done.stdout + done.stderr
