"""A copy of libs/contracts that a test changes, and its command line.

The copy has the code of libs/contracts and an event of its own, so that these tests don't change with our events.
"""

import atexit
import importlib
import re
import subprocess
import sys
from collections.abc import Callable, Sequence
from contextlib import redirect_stderr, redirect_stdout
from functools import cache
from io import StringIO
from pathlib import Path
from shutil import copytree, ignore_patterns, rmtree
from tempfile import mkdtemp
from types import ModuleType

from contracts.cli import main

ORIGINAL = Path(__file__).parents[2] / "libs/contracts"

EVENTS = '''"""Every event, one model for each version."""

from collections.abc import Mapping
from typing import ClassVar

from pydantic import AwareDatetime

from contracts.envelope import EventData


class UserRegistered(EventData):
    """A user registered, and the registration is committed."""

    event_type: ClassVar[str] = "user_registered"
    version: ClassVar[int] = 1

    user_id: int
    email: str
    full_name: str
    registered_at: AwareDatetime


EVENTS: tuple[type[EventData], ...] = (UserRegistered,)

PUBLISHERS: Mapping[str, tuple[type[EventData], ...]] = {"users-api": (UserRegistered,)}
'''

SUBSCRIPTIONS = """
RETRY = RetryPolicy(max_attempts=3, first_delay=1, max_delay=300)
SUBSCRIPTIONS: tuple[Subscription[EventData], ...] = (
    Subscription(name="welcome_email", event=UserRegistered, queue="notifier", retry=RETRY),
    Subscription(name="audit_log", event=UserRegistered, queue="auditor", retry=RETRY),
)


"""

GOLDEN = """{
  "specversion": "1.0",
  "id": "6f9619ff-8b86-4011-b42d-00c04fc964ff",
  "source": "users-api",
  "type": "user_registered",
  "subject": "users/1",
  "time": "2026-03-14T15:09:26.535897Z",
  "datacontenttype": "application/json",
  "dataschema": "urn:herald:user_registered:1",
  "correlationid": "order-42",
  "data": {
    "user_id": 1,
    "email": "maya@example.com",
    "full_name": "Maya Chen",
    "registered_at": "2026-03-14T15:09:26.535897Z"
  }
}
"""


class ContractsCopy:
    """The copy is in `folder`. `original`: another copy, if it isn't one of libs/contracts."""

    def __init__(self, folder: Path, original: Path | None = None) -> None:
        self.folder = folder
        copytree(original or _published(), folder)
        self.schemas = folder / "schemas"
        self.golden = folder / "golden"
        self.sums = folder / "SHA256SUMS"

    def change(self, old: str, new: str) -> None:
        """Replace one piece of events.py."""
        path = self.folder / "src/contracts/events.py"
        text = path.read_text()
        assert text.count(old) == 1, f"events.py has {text.count(old)} times: {old}"
        path.write_text(text.replace(old, new))

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run `contracts` with the changed models."""
        return _run(self.folder, *arguments)

    def check(self) -> subprocess.CompletedProcess[str]:
        return self.run("check", str(self.folder))

    def generate(self) -> subprocess.CompletedProcess[str]:
        return self.run("generate", str(self.folder))

    def files(self) -> dict[str, bytes]:
        """Return the published files."""
        return {path.name: path.read_bytes() for path in self.schemas.iterdir()}


@cache
def _published() -> Path:
    """Make the copy from which all others are made: its event is published."""
    folder = Path(mkdtemp(prefix="contracts-"))
    atexit.register(rmtree, folder, ignore_errors=True)
    source = folder / "src/contracts"
    copytree(ORIGINAL / "src/contracts", source, ignore=ignore_patterns("__pycache__"))
    (source / "__init__.py").write_text('"""The contracts of a test."""\n')
    (source / "events.py").write_text(EVENTS)
    (source / "schedules.py").write_text('"""No schedules."""\n\nSCHEDULES = ()\n')
    table = (source / "subscriptions.py").read_text()
    table = re.sub("from contracts.events import .*", "from contracts.events import EVENTS, UserRegistered", table)
    before, after = table.index("WELCOME_EMAIL = "), table.index("def subscriptions_to(")
    (source / "subscriptions.py").write_text(table[:before] + SUBSCRIPTIONS.lstrip() + table[after:])
    (folder / "golden").mkdir()
    (folder / "golden/user_registered.1.0.json").write_text(GOLDEN)
    made = _run(folder, "generate", str(folder))
    assert made.returncode == 0, made.stdout + made.stderr
    return folder


def _run(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the copy's command line in this process: a new one takes 0.2 s, most of it for the import of pydantic."""
    ours = _forget_contracts()
    sys.path.insert(0, str(folder / "src"))
    importlib.invalidate_caches()
    try:
        return _captured(importlib.import_module("contracts.cli").main, arguments)
    finally:
        sys.path.remove(str(folder / "src"))
        _forget_contracts()
        sys.modules.update(ours)


def _forget_contracts() -> dict[str, ModuleType]:
    names = [name for name in sys.modules if name.partition(".")[0] == "contracts"]
    return {name: sys.modules.pop(name) for name in names}


def _captured(command: Callable[[Sequence[str]], int], arguments: Sequence[str]) -> subprocess.CompletedProcess[str]:
    with redirect_stdout(StringIO()) as output, redirect_stderr(StringIO()) as errors:
        status = command(arguments)
    return subprocess.CompletedProcess(arguments, status, output.getvalue(), errors.getvalue())


def contracts(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the command line of this repository's contracts, in this process."""
    return _captured(main, arguments)
