"""Golden messages: one for each published revision of an event, readable for ever."""

import json
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Any

from contracts.compatibility.check import publishers
from contracts.compatibility.findings import Finding
from contracts.compatibility.published import Revision
from contracts.decoding import decode
from contracts.envelope import EventData
from contracts.errors import ContractError
from contracts.events import EVENTS


def read_golden(folder: Path) -> Mapping[str, Any]:
    """Return the golden messages of a folder by name, such as user_registered.1.0."""
    return {path.stem: json.loads(path.read_bytes()) for path in sorted(folder.glob("*.json"))}


def without_golden(published: Collection[Revision], folder: Path) -> Iterator[Finding]:
    """Yield what is wrong with the golden messages: each revision of an event has one, which is readable for ever."""
    newest = {model.event_type: model for model in EVENTS}
    for revision in published:
        if revision.event in newest:
            fault = _golden_fault(folder / revision.file_name, revision, newest[revision.event])
            if fault:
                todo = f"write {folder / revision.file_name}, a message as {publishers(revision.event)} writes it"
                yield Finding(str(revision), "", fault, "nothing would show that it can still be read", todo)


def _golden_fault(path: Path, revision: Revision, newest: type[EventData]) -> str:
    try:
        message = json.loads(path.read_bytes())
        decode(message, newest)
    except FileNotFoundError:
        return "has no golden message"
    except (ContractError, ValueError) as error:
        return f"has a golden message that can't be read: {error}"
    schema_id = revision.schema["$id"]
    return "" if message["dataschema"] == schema_id else f"has a golden message that isn't of {schema_id}"
