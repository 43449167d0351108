"""Reads a walk out of a page of docs and carries it out in a copy of the repository.

A walk is a section of the page. The file that a code block is about is the last path before it. A `diff` block changes
the file, hunk by hunk (`@@` between two): its old lines are in the file exactly once. A `sh` block is commands, and a
`text` block after it is what the last of them prints. Any other block is a new file.
"""

import re
import shutil
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs/changing.md"
COPIED = ("libs", "services", "lab", "tests/contract", "tests/conftest.py", "pyproject.toml", "Makefile")

_BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
PATH = re.compile(r"`((?:[\w.-]+/)*(?:[\w-]+\.[\w.]+|Makefile))`")


@dataclass(frozen=True)
class Edit:
    """A code block of a walk."""

    path: str
    kind: str
    text: str

    def apply(self, root: Path) -> None:
        path = root / self.path
        if self.kind != "diff":
            path.parent.mkdir(parents=True, exist_ok=True)
            assert not path.exists(), f"{self.path} is no new file"
            path.write_text(self.text)
            return
        content = path.read_text()
        for hunk in self.text.split("@@\n"):
            content = self._changed(content, hunk.splitlines(keepends=True))
        path.write_text(content)

    def _changed(self, content: str, hunk: list[str]) -> str:
        old = "".join(line[1:] for line in hunk if line[0] != "+")
        new = "".join(line[1:] for line in hunk if line[0] != "-")
        if content.count(new) == 1:  # another walk has made the same change
            return content
        assert content.count(old) == 1, f"not exactly once in {self.path}:\n{old}"
        return content.replace(old, new)


@dataclass
class Command:
    """A line of a `sh` block. `prints`: what the page says that it prints, if it does."""

    line: str
    prints: str = ""


def walk(title: str) -> list[Edit]:
    """Return the edits of the section of docs/changing.md that has this title."""
    return [step for step in steps(title, PAGE) if isinstance(step, Edit)]


def steps(title: str, page: Path) -> list[Edit | Command]:
    """Return the edits and commands of a section, in order."""
    section = page.read_text().partition(f"\n## {title}\n")[2].partition("\n## ")[0]
    found: list[Edit | Command] = []
    start = 0
    for block in _BLOCK.finditer(section):
        if block[1] == "sh":
            found += [Command(line) for line in block[2].splitlines()]
        elif block[1] == "text":
            assert isinstance(found[-1], Command), f"what prints {block[2]}?"
            found[-1].prints = block[2]
        else:
            found.append(Edit(PATH.findall(section[start : block.start()])[-1], block[1], block[2]))
        start = block.end()
    assert found, f"no walk named {title}"
    return found


def copy_to(root: Path) -> None:
    """Copy what walks change, and what checks and runs it."""
    ignored = shutil.ignore_patterns("__pycache__", "*.egg-info")
    for name in COPIED:
        source, target = ROOT / name, root / name
        target.parent.mkdir(parents=True, exist_ok=True)
        if source.is_dir():
            shutil.copytree(source, target, ignore=ignored)
        else:
            shutil.copy(source, target)


def sources(root: Path) -> list[Path]:
    """Return the folders that a Python which runs the copy imports from."""
    return sorted(root.glob("*/*/src"))
