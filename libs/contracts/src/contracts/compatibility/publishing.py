"""Write the schemas of the models as files, unless a change breaks what is published."""

import json
import os
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path

from contracts.compatibility.check import breaking, unpublished
from contracts.compatibility.checksums import SUMS, edited, sums
from contracts.compatibility.findings import Finding
from contracts.compatibility.lost import lost
from contracts.compatibility.misfits import misfits
from contracts.compatibility.published import INDEX, Revision, read_folder, read_index
from contracts.schemas import Schema, all_schemas


def publish(folder: Path) -> tuple[list[Finding], list[str]]:
    """Write each revision that isn't published yet into `folder / "schemas"`, and what lists the published files.

    Returns why nothing may be published, and then nothing is written; and a line for each file that was written.
    """
    published, schemas = read_folder(folder / "schemas"), all_schemas()
    new = unpublished(schemas, published)
    findings = refused(folder, schemas, published, new)
    return (findings, []) if findings else ([], list(_write(folder, published, new)))


def refused(
    folder: Path, schemas: Mapping[str, Schema], published: Collection[Revision], new: Collection[Revision]
) -> list[Finding]:
    """Return why the models may not be published: what they break, and what is no longer as it was published."""
    return [*breaking(schemas, published), *lost(folder, published, new), *edited(folder), *misfits()]


def unlisted(folder: Path, published: Collection[Revision]) -> Iterator[str]:
    """Yield the names of the lists that don't list what is published."""
    if read_index(folder / "schemas") != _index(published):
        yield INDEX
    path = folder / SUMS
    if not path.exists() or path.read_text("utf-8") != sums(folder, published):
        yield SUMS


def _write(folder: Path, published: list[Revision], new: Mapping[Revision, str]) -> Iterator[str]:
    schemas, everything = folder / "schemas", {*published, *new}
    schemas.mkdir(parents=True, exist_ok=True)
    for revision, reason in new.items():
        yield from write(schemas / revision.file_name, as_json(revision.schema), f"{revision} {reason}")
    yield from write(schemas / INDEX, as_json(_index(everything)))
    yield from write(folder / SUMS, sums(folder, everything))


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
