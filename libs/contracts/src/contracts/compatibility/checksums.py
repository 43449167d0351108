"""The SHA-256 of each published schema and golden message, so that none of them is edited unnoticed.

`SHA256SUMS` has a line for each file, as `sha256sum --check` reads it. `contracts generate` adds a line for a new file.
It changes a line only for a schema that it describes in other words itself; never that of a golden message.
"""

import re
from collections.abc import Collection, Iterator, Mapping
from hashlib import sha256
from pathlib import Path

from contracts.compatibility.findings import Finding
from contracts.compatibility.golden import sound
from contracts.compatibility.published import FILE_NAME, Revision
from contracts.errors import ContractError

SUMS = "SHA256SUMS"

_LINE = re.compile(r"([0-9a-f]{64})  ((?:schemas|golden)/(.+))")


def read_sums(folder: Path) -> Mapping[str, str]:
    """Return the sums of a folder's files, by paths such as golden/user_registered.1.0.json; none, if there are none.

    Raises:
        ContractError: a line isn't a sum and a path.
    """
    path = folder / SUMS
    lines = path.read_text("utf-8", "replace").splitlines() if path.exists() else []
    return dict(_read(line, path) for line in lines)


def _read(line: str, path: Path) -> tuple[str, str]:
    match = _LINE.fullmatch(line)
    if not match or not FILE_NAME.fullmatch(match[3]):
        raise ContractError(f"{path} has a line that isn't a SHA-256 and a published file: {line}")
    return match[2], match[1]


def edited(folder: Path) -> Iterator[Finding]:
    """Yield the published files with another content, and the golden messages that are gone.

    A schema that is gone is `lost`, which finds more of them.
    """
    for name, expected in read_sums(folder).items():
        path, is_golden = folder / name, name.startswith("golden/")
        if is_golden and not path.exists():
            yield _finding(path, "has lost its golden message", "nothing shows that such messages can be read")
        elif is_golden and _sum(path) != expected:
            change = "has another golden message than the one that was published"
            yield _finding(path, change, "nothing shows that messages as they are stored can be read")
        elif path.exists() and _sum(path) != expected:
            change = "has another schema than the one that was published"
            yield _finding(path, change, "changes are compared with what never was, so a break would pass")


def _finding(path: Path, change: str, breaks: str) -> Finding:
    restore = f"restore {path} from the history"
    unreleased = f"if it was never released, remove its line from {SUMS} and run `make contracts`"
    return Finding(path.stem.replace(".", " ", 1), "", change, breaks, f"{restore}; {unreleased}")


def sums(folder: Path, published: Collection[Revision]) -> str:
    """Return the text that SHA256SUMS should have: its lines, and one for each other schema or sound golden message."""
    schemas = {f"schemas/{each.file_name}" for each in published}
    golden = {f"golden/{each.file_name}" for each in sound(published, folder / "golden")}
    return "".join(f"{_sum(folder / name)}  {name}\n" for name in sorted({*read_sums(folder), *schemas, *golden}))


def _sum(path: Path) -> str:
    return sha256(path.read_bytes()).hexdigest()
