"""Write the schemas of the models as files, unless a change breaks what is published."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from contracts.compatibility.check import breaking, unpublished
from contracts.compatibility.findings import Finding
from contracts.compatibility.published import INDEX, Revision, read_folder
from contracts.schemas import all_schemas


def publish(folder: Path) -> tuple[list[Finding], list[str]]:
    """Write each revision that isn't published yet, and the index.

    Returns what the models break, and then nothing is written; and a line for each file that was written.
    """
    published, schemas = read_folder(folder), all_schemas()
    findings = breaking(schemas, published)
    return (findings, []) if findings else ([], list(_write(folder, published, unpublished(schemas, published))))


def _write(folder: Path, published: list[Revision], new: dict[Revision, str]) -> Iterator[str]:
    folder.mkdir(parents=True, exist_ok=True)
    for revision, reason in new.items():
        write_json(folder / revision.file_name, revision.schema)
        yield f"{revision} {reason}: {folder / revision.file_name}"
    write_json(folder / INDEX, sorted(each.file_name for each in {*published, *new}))


def write_json(path: Path, content: Any) -> None:
    """Write JSON for people: indented, in the order of the models."""
    path.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", "utf-8")
