"""May this service be deployed, into an environment where these schemas are published?

The service has the models of the contracts that are installed beside it. It must read what is published there, and
what it publishes must be known there. Each event that it receives must be published there, unless it is named as not
yet published: consumers are deployed before the first publisher of an event.
"""

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass

from contracts.compatibility.check import consumers
from contracts.compatibility.findings import Finding, newest_only, reading, writing
from contracts.compatibility.published import Revision, of_version
from contracts.envelope import EventData
from contracts.errors import ContractError
from contracts.events import PUBLISHERS
from contracts.schemas import ENVELOPE, envelope_schema, schema_of, versions
from contracts.subscriptions import SUBSCRIPTIONS, subscriptions_to


class UnknownService(ContractError):
    """No service of that name publishes or receives events. See PUBLISHERS and SUBSCRIPTIONS."""


@dataclass(frozen=True)
class Verdict:
    """`compared`: what was looked at, a line each; `findings`: why the answer is no."""

    compared: tuple[str, ...]
    findings: tuple[Finding, ...]


def can_deploy(service: str, published: Collection[Revision], not_yet: Collection[str] = ()) -> Verdict:
    """Compare the events of a service with what is published. `not_yet`: events that needn't be published.

    Raises:
        UnknownService: there is no such service.
        ContractError: an event of `not_yet` isn't one that the service receives.
    """
    received = {each.event.event_type: each.event for each in SUBSCRIPTIONS if each.service == service}
    sent = PUBLISHERS.get(service, ())
    if not received and not sent:
        names = sorted({*PUBLISHERS, *(each.service for each in SUBSCRIPTIONS)})
        raise UnknownService(f"no service is named {service}; there are {', '.join(names)}")
    if unknown := sorted({*not_yet} - {*received}):
        raise ContractError(f"{service} receives no {' and no '.join(unknown)}")
    compared = [f"receives {_names(model, published)}" for model in received.values()]
    compared += [f"publishes {model.event_type} {model.version}" for model in sent]
    findings = [each for model in received.values() for each in _receiving(service, model, published)]
    findings += [_absent(service, model) for model in _unpublished(received.values(), published, not_yet)]
    findings += [each for model in sent for each in _sending(model, published)]
    return Verdict(tuple(compared), tuple(newest_only([*_envelope(service, bool(sent), published), *findings])))


def _names(model: type[EventData], published: Collection[Revision]) -> str:
    numbers = [each.number for each in published if each.event == model.event_type]
    return f"{model.event_type} {', '.join(numbers) or '(not published there)'}"


def _receiving(service: str, newest: type[EventData], published: Collection[Revision]) -> Iterator[Finding]:
    known = {model.version: model for model in versions(newest)}
    for revision in sorted(published, reverse=True):
        if revision.event != newest.event_type:
            continue
        if revision.version in known:
            yield from reading(schema_of(known[revision.version]), revision, service)
        elif revision.version < newest.version:
            parked = f"events of {revision.number}, stored or on their way, would be parked as failed"
            todo = "keep its model, as a predecessor"
            yield Finding(f"{revision.event} {revision.version}", "", "has no model here", parked, todo)
        else:
            parked = f"events of {revision.number} would be parked as failed until {service} is upgraded"
            change = f"is published there, and the newest known here is {newest.version}"
            yield Finding(
                f"{revision.event} {revision.version}", "", change, parked, f"build {service} with newer contracts"
            )


def _unpublished(
    received: Iterable[type[EventData]], published: Collection[Revision], not_yet: Collection[str]
) -> Iterator[type[EventData]]:
    expected = {*not_yet, *(each.event for each in published)}
    return (model for model in received if model.event_type not in expected)


def _absent(service: str, model: type[EventData]) -> Finding:
    event = model.event_type
    todo = f"compare with all schemas of the environment; if no service there publishes it yet, add --not-yet {event}"
    return Finding(
        f"{event} {model.version}", "", "isn't published there", f"{service} would wait for it in vain", todo
    )


def _sending(model: type[EventData], published: Collection[Revision]) -> Iterator[Finding]:
    names = consumers(model.event_type)
    known = of_version(published, model.schema_uri())
    if not known and subscriptions_to(model.event_type):
        about = f"{model.event_type} {model.version}"
        yield Finding(about, "", "isn't known there", f"{names} would park it as failed", f"deploy {names} first")
    for revision in known:
        yield from writing(schema_of(model), revision, names)


def _envelope(service: str, sends: bool, published: Collection[Revision]) -> Iterator[Finding]:
    for revision in published:
        if revision.event == "envelope" and revision.schema["$id"] != ENVELOPE:
            unread = "nothing that is published there could be read"
            yield Finding(
                str(revision),
                "",
                "is published there, and isn't known here",
                unread,
                f"build {service} with newer contracts",
            )
    for revision in of_version(published, ENVELOPE):
        yield from reading(envelope_schema(), revision, service)
        if sends:
            yield from writing(envelope_schema(), revision, "consumers")
