"""A copy of libs/contracts that a test changes, and its command line."""

import os
import subprocess
import sys
from contextlib import redirect_stderr, redirect_stdout
from io import StringIO
from pathlib import Path
from shutil import copytree, ignore_patterns

from contracts.cli import main

ORIGINAL = Path(__file__).parents[2] / "libs/contracts"


class ContractsCopy:
    """The copy is in `folder`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        copytree(ORIGINAL, folder, ignore=ignore_patterns("__pycache__"))
        self.schemas = folder / "schemas"
        self.golden = folder / "golden"

    def change(self, old: str, new: str) -> None:
        """Replace one piece of events.py."""
        path = self.folder / "src/contracts/events.py"
        text = path.read_text()
        assert text.count(old) == 1, f"events.py has {text.count(old)} times: {old}"
        path.write_text(text.replace(old, new))

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run `contracts` with the changed models."""
        start = "from contracts.cli import main; raise SystemExit(main())"
        return subprocess.run(
            [sys.executable, "-c", start, *arguments],
            env={**os.environ, "PYTHONPATH": str(self.folder / "src")},
            capture_output=True,
            text=True,
            check=False,
        )

    def check(self) -> subprocess.CompletedProcess[str]:
        return self.run("check", str(self.folder))

    def generate(self) -> subprocess.CompletedProcess[str]:
        return self.run("generate", str(self.folder))

    def files(self) -> dict[str, bytes]:
        """Return the published files."""
        return {path.name: path.read_bytes() for path in self.schemas.iterdir()}


def contracts(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the command line of this repository's contracts, in this process: a new one costs a quarter of a second."""
    with redirect_stdout(StringIO()) as output, redirect_stderr(StringIO()) as errors:
        status = main(arguments)
    return subprocess.CompletedProcess(arguments, status, output.getvalue(), errors.getvalue())
