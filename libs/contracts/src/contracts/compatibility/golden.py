"""Golden messages: one for each published revision of an event, readable for ever."""

import json
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Any

from contracts.compatibility.check import publishers
from contracts.compatibility.findings import Finding
from contracts.compatibility.published import FILE_NAME, Revision
from contracts.decoding import decode
from contracts.envelope import EventData
from contracts.errors import ContractError
from contracts.events import EVENTS

MISSING = "has no golden message"


def read_golden(folder: Path) -> Mapping[str, Any]:
    """Return the golden messages of a folder by name, such as user_registered.1.0.

    Raises:
        ContractError: a file has another name, or is no message.
    """
    return {path.stem: _message(path) for path in sorted(folder.glob("*.json"))}


def without_golden(published: Collection[Revision], folder: Path) -> Iterator[Finding]:
    """Yield what is wrong with the golden messages: each revision of an event has one, which is readable for ever."""
    for revision, fault in _faults(published, folder):
        if fault == MISSING:
            path = folder / revision.file_name
            todo = f"write {path}, a message as {publishers(revision.event)} writes it, and run `make contracts`"
            yield Finding(str(revision), "", fault, "nothing would show that such messages can be read", todo)
        elif fault:
            todo = "leave the message as it is, and mend the model or its upcast"
            yield Finding(str(revision), "", fault, f"stored messages of {revision.number} can't be read", todo)


def sound(published: Collection[Revision], folder: Path) -> Iterator[Revision]:
    """Yield the revisions whose golden message is there, and is readable as the newest version."""
    return (revision for revision, fault in _faults(published, folder) if not fault)


def _faults(published: Collection[Revision], folder: Path) -> Iterator[tuple[Revision, str]]:
    """Yield each revision of an event with what is wrong with its golden message; empty, if nothing is."""
    newest = {model.event_type: model for model in EVENTS}
    for revision in published:
        if revision.event in newest:
            yield revision, _golden_fault(folder / revision.file_name, revision, newest[revision.event])


def _message(path: Path) -> Mapping[str, Any]:
    if not FILE_NAME.fullmatch(path.name):
        raise ContractError(f"{path} isn't named like user_registered.1.0.json")
    try:
        message = json.loads(path.read_bytes())
    except ValueError as error:
        raise ContractError(f"{path} is no JSON: {error}") from None
    if not isinstance(message, dict) or not isinstance(message.get("data"), dict) or "source" not in message:
        raise ContractError(f"{path} is no message with its source and its data")
    return message


def _golden_fault(path: Path, revision: Revision, newest: type[EventData]) -> str:
    try:
        message = _message(path)
        decode(message, newest)
    except FileNotFoundError:
        return MISSING
    except ContractError as error:
        return f"has a golden message that can't be read: {error}"
    if message["dataschema"] != revision.schema["$id"]:
        return f"has a golden message that isn't of {revision.schema['$id']}"
    unknown = message["data"].keys() - revision.schema.get("properties", {}).keys()
    return f"has a golden message with fields that it doesn't have: {', '.join(sorted(unknown))}" if unknown else ""
