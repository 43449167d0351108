"""Each model against every published revision of its version, in both directions."""

from collections.abc import Collection, Iterator, Mapping

from contracts.compatibility.findings import Finding, newest_only, reading, writing
from contracts.compatibility.published import Revision, of_version
from contracts.compatibility.structure import structure
from contracts.events import PUBLISHERS
from contracts.schemas import Schema
from contracts.subscriptions import subscriptions_to


def breaking(schemas: Mapping[str, Schema], published: Collection[Revision]) -> list[Finding]:
    """Return what changes of the models break, given the schemas by `$id`."""
    return newest_only(_breaking(schemas, published))


def _breaking(schemas: Mapping[str, Schema], published: Collection[Revision]) -> Iterator[Finding]:
    for revision in sorted(published, reverse=True):
        schema = schemas.get(revision.schema["$id"])
        if schema is None:
            stored = f"events of {revision.number}, stored or on their way"
            yield Finding(
                f"{revision.event} {revision.version}", "", "has no model", stored, "keep its model, as a predecessor"
            )
        else:
            yield from writing(schema, revision, consumers(revision.event))
            yield from reading(schema, revision, consumers(revision.event))


def unpublished(schemas: Mapping[str, Schema], published: Collection[Revision]) -> dict[Revision, str]:
    """Return the revisions to publish, with the reason in words."""
    found = {}
    for schema_id, schema in schemas.items():
        _, _, event, version = schema_id.split(":")
        newest = next(iter(of_version(published, schema_id)), None)
        if newest is None:
            found[Revision(event, int(version), 0, schema)] = "is new"
        elif structure(newest.schema) != structure(schema):
            found[Revision(event, int(version), newest.revision + 1, schema)] = "is new, and its changes are harmless"
        elif newest.schema != schema:
            found[Revision(event, int(version), newest.revision, schema)] = "is described in other words"
    return found


def consumers(event: str) -> str:
    """Name the services that receive an event."""
    return " and ".join(dict.fromkeys(each.service for each in subscriptions_to(event))) or "consumers"


def publishers(event: str) -> str:
    """Name the services that publish an event."""
    return ", ".join(name for name, models in PUBLISHERS.items() if event in {model.event_type for model in models})
