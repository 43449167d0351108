"""docs/events.md: the catalogue in Markdown, as GitHub shows it."""

from collections.abc import Iterable, Iterator, Sequence

from contracts.catalogue import POLICIES, Document, Effect, Entry, Version, entries, envelope
from contracts.catalogue.fields import Field

_HEAD = """\
<!-- Made by `make contracts` from libs/contracts: edit the models and the subscriptions there. -->
# Events

Which service publishes which event, and which effects follow. A running users-api shows the same at `/events`. For
tools there is the [AsyncAPI document](../libs/contracts/src/contracts/asyncapi/document.json), at `/asyncapi.json`.
"""

_ENVELOPE = """\
## The envelope
Every event is a [CloudEvents 1.0](https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/spec.md) JSON object.
"""


def markdown(document: Document) -> str:
    """Write the catalogue."""
    known = entries(document)
    parts = [_HEAD, _picture(known), f"{POLICIES}\n", *map(_entry, known), _ENVELOPE, _fields(envelope(document))]
    return "\n".join(parts)


def _picture(known: Sequence[Entry]) -> str:
    """Draw who sends what to whom: a service is a box around its effects, an event is round."""
    lines = [f'    {publisher} --> {entry.name}(["{entry.name}"])' for entry in known for publisher in entry.publishers]
    lines += [f"    {entry.name} --> {effect.name}" for entry in known for effect in entry.effects]
    effects = [effect for entry in known for effect in entry.effects]
    for service in dict.fromkeys(effect.service for effect in effects):
        lines += [f"    subgraph {service}", *_members(service, effects), "    end"]
    return _fenced("mermaid", "\n".join(["flowchart LR", *lines]))


def _members(service: str, effects: Iterable[Effect]) -> Iterator[str]:
    return (f'        {effect.name}["{effect.name}"]' for effect in effects if effect.service == service)


def _entry(entry: Entry) -> str:
    about = f"{entry.summary} Published by {' and '.join(entry.publishers) or 'no service yet'}. {entry.occasion}"
    receivers = [(f"`{each.name}`", each.service, f"`{each.queue}`", each.due, each.retries) for each in entry.effects]
    table = _table(("effect", "service", "queue", "when", "retries"), receivers) if receivers else "No effect yet.\n"
    newest, *older = entry.versions
    versions = [_version(newest, "published"), *(_version(version, "still read") for version in older)]
    return "\n".join([f"## {entry.name}\n{about.strip()}\n", table, *versions])


def _version(version: Version, use: str) -> str:
    examples = [f"Example of {number}:\n{_fenced('json', example)}" for number, example in version.examples.items()]
    return "\n".join([f"### {version.title}\n`{version.schema}`, {use}\n", _fields(version.fields), *examples])


def _fields(listed: Sequence[Field]) -> str:
    rows = [(f"`{each.name}`", each.type, "yes" if each.required else "no", each.meaning) for each in listed]
    return _table(("field", "type", "required", "meaning"), rows)


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *([cell.replace("|", r"\|") for cell in row] for row in rows)]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def _fenced(language: str, text: str) -> str:
    return f"```{language}\n{text}\n```\n"
