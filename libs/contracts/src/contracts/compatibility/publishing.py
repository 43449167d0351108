"""Write the schemas of the models as files, unless a change breaks what is published."""

import json
import os
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path

from contracts.compatibility.check import breaking, unpublished
from contracts.compatibility.findings import Finding
from contracts.compatibility.lost import lost
from contracts.compatibility.published import INDEX, Revision, read_folder, read_index
from contracts.schemas import all_schemas


def publish(folder: Path) -> tuple[list[Finding], list[str]]:
    """Write each revision that isn't published yet into `folder / "schemas"`, and the index.

    Returns what the models break, and then nothing is written; and a line for each file that was written.
    """
    published, schemas = read_folder(folder / "schemas"), all_schemas()
    new = unpublished(schemas, published)
    findings = [*breaking(schemas, published), *lost(folder, published, new)]
    return (findings, []) if findings else ([], list(_write(folder / "schemas", published, new)))


def is_indexed(folder: Path, published: Collection[Revision]) -> bool:
    """Return whether the index lists the published schemas."""
    return read_index(folder) == _index(published)


def _write(folder: Path, published: list[Revision], new: Mapping[Revision, str]) -> Iterator[str]:
    folder.mkdir(parents=True, exist_ok=True)
    for revision, reason in new.items():
        yield from write(folder / revision.file_name, as_json(revision.schema), f"{revision} {reason}")
    yield from write(folder / INDEX, as_json(_index({*published, *new})))


def _index(published: Collection[Revision]) -> list[str]:
    return sorted(each.file_name for each in published)


def as_json(content: object) -> str:
    """Return JSON for people: indented, in the order of the models."""
    return json.dumps(content, indent=2, ensure_ascii=False) + "\n"


def write(path: Path, text: str, reason: str = "changed") -> list[str]:
    """Write a file as a whole, unless it has this text: if the process is killed, the old file is still there.

    Returns a line with the reason, if the file was written.
    """
    if path.exists() and path.read_text("utf-8") == text:
        return []
    part = path.with_name(f".{path.name}.{os.getpid()}")
    part.write_text(text, "utf-8")
    part.replace(path)
    return [f"{reason}: {path}"]
