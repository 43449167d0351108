"""The schemas that are published: in a folder, or at a URL.

A file is named `<event>.<version>.<revision>.json`, such as user_registered.1.0.json. A version is a model, and has its
own `dataschema`. Its revisions differ by harmless changes, such as a new optional field, and each of them stays: some
database holds messages of it, and some service may still run with it.
"""

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from contracts.compatibility.fetching import Unreadable, get, is_url, without_secrets
from contracts.schemas import ENVELOPE, EVENT_NAME, Schema

INDEX = "index.json"
"""Lists the names of the files, so that a reader finds them at a URL, and sees whether a copy is whole."""

FILE_NAME = re.compile(rf"({EVENT_NAME.pattern})\.([1-9][0-9]*)\.(0|[1-9][0-9]*)\.json")
"""The event, the version and the revision of a schema or a golden message."""


@dataclass(frozen=True, order=True)
class Revision:
    """One published schema. Its text is `user_registered 1.0`."""

    event: str
    version: int
    revision: int
    schema: Schema = field(compare=False, repr=False)

    @property
    def number(self) -> str:
        """The version and the revision, such as 1.0."""
        return f"{self.version}.{self.revision}"

    @property
    def file_name(self) -> str:
        """The name of its file, and of its golden message."""
        return f"{self.event}.{self.number}.json"

    def __str__(self) -> str:
        """Return its event and number."""
        return f"{self.event} {self.number}"


def read_published(where: str) -> list[Revision]:
    """Read the schemas that the index of a folder or URL lists, in the order of their names and numbers.

    Raises:
        Unreadable: there is no index, or it doesn't list what is there, or one of the files is no JSON Schema with the
            `$id` that its name says. A set that may be incomplete is no answer: what is missing breaks nothing.
    """
    if not where:
        raise Unreadable("no folder or URL is named; is a variable of the pipeline empty?")
    named = without_secrets(where).rstrip("/")
    names = _names(f"{named}/{INDEX}", get(where, INDEX))
    if unlisted := [] if is_url(where) else sorted({*_file_names(Path(where))} - {*names}):
        raise Unreadable(f"{named}/{INDEX} doesn't list {', '.join(unlisted)}, which is there")
    found = [_revision(name, _listed(where, name)) for name in dict.fromkeys(names)]
    if not of_version(found, ENVELOPE):
        raise Unreadable(f"{named} has no envelope.1.0.json, so other files may be missing too")
    return sorted(found)


def _listed(where: str, name: str) -> bytes:
    try:
        return get(where, name)
    except Unreadable as error:
        raise Unreadable(f"{error}, though {INDEX} lists it") from None


def read_folder(folder: Path) -> list[Revision]:
    """Read the schemas of a folder, of which there may be none yet."""
    return sorted(_revision(name, (folder / name).read_bytes()) for name in _file_names(folder))


def read_index(folder: Path) -> list[str]:
    """Read the names that the index of a folder lists; none, if there is no index yet."""
    path = folder / INDEX
    return _names(str(path), path.read_bytes()) if path.exists() else []


def _file_names(folder: Path) -> list[str]:
    return [path.name for path in folder.glob("*.json") if FILE_NAME.fullmatch(path.name)]


def _names(index: str, content: bytes) -> list[str]:
    names = _json(index, content)
    if not isinstance(names, list) or not all(isinstance(name, str) and FILE_NAME.fullmatch(name) for name in names):
        raise Unreadable(f"{index} isn't a list of names such as user_registered.1.0.json")
    return names


def _revision(name: str, content: bytes) -> Revision:
    match = FILE_NAME.fullmatch(name)
    schema = _json(name, content)
    if not match or not isinstance(schema, dict) or schema.get("$id") != f"urn:herald:{match[1]}:{match[2]}":
        raise Unreadable(f"{name} is no JSON Schema whose $id is the version that the file's name says")
    return Revision(match[1], int(match[2]), int(match[3]), schema)


def _json(name: str, content: bytes) -> Any:
    try:
        return json.loads(content)
    except (ValueError, RecursionError) as error:
        raise Unreadable(f"{name} is no JSON: {error}") from None


def of_version(published: Iterable[Revision], schema_id: str) -> list[Revision]:
    """Return the revisions of one version, newest first."""
    return sorted((each for each in published if each.schema["$id"] == schema_id), reverse=True)
