"""What a change breaks, for whom, and what to do instead: a break, in words for the person who made the change."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from contracts.compatibility.comparison import breaks
from contracts.compatibility.published import Revision
from contracts.compatibility.rules import Break, Rule
from contracts.schemas import ENVELOPE, Schema


@dataclass(frozen=True)
class Finding:
    """One thing that is wrong. `about`: a version, such as user_registered 1; `field`: empty, if it is all of it."""

    about: str
    field: str
    change: str
    breaks: str
    instead: str


def writing(schema: Schema, revision: Revision, readers: str) -> Iterator[Finding]:
    """Yield what a publisher of `schema` breaks for consumers that know `revision`. `readers`: their names."""
    for each in breaks(schema, revision.schema):
        breaks_them = f"{readers} of a release that knows {revision.number}: new events would be refused"
        change = _WRITTEN[each.rule].format(written=each.written, read=each.read)
        if each.rule is Rule.MISSING and each.written:
            change += f" (renamed to {each.written}?)"
        yield _finding(each, revision, change, breaks_them, "keep the field")


def reading(schema: Schema, revision: Revision, readers: str) -> Iterator[Finding]:
    """Yield what `readers`, consumers with `schema`, refuse of events that were published as `revision`."""
    for each in breaks(revision.schema, schema):
        breaks_them = f"{readers}: events of {revision.number}, stored or on their way, would be refused"
        change = _READ[each.rule].format(written=each.written, read=each.read)
        if each.rule is Rule.MISSING and each.written:
            change += f" (renamed from {each.written}?)"
        yield _finding(each, revision, change, breaks_them, "give the field a default")


def newest_only(findings: Iterable[Finding]) -> list[Finding]:
    """Drop what was found in an older revision too."""
    return list({(each.about, each.field, each.change): each for each in reversed(list(findings))}.values())[::-1]


def _finding(found: Break, revision: Revision, change: str, breaks: str, instead: str) -> Finding:
    if revision.schema["$id"] == ENVELOPE:
        advice = "keep the envelope as CloudEvents 1.0 has it; new attributes are optional"
    else:
        version = f"leave version {revision.version} as it is, and add version {revision.version + 1} with an upcast"
        advice = f"{instead}, or {version}" if found.rule in {Rule.MISSING, Rule.OPTIONAL} else version
    return Finding(f"{revision.event} {revision.version}", found.path, change, breaks, advice)


_WRITTEN = {
    Rule.MISSING: "is removed",
    Rule.OPTIONAL: "has become optional",
    Rule.UNKNOWN: "is new, where unknown fields are refused",
    Rule.TYPE: "may be {written}, was {read}",
    Rule.VALUES: "may be {written}",
    Rule.FORMAT: "has another format: {written}, was {read}",
    Rule.BOUND: "has a wider bound: {written}, was {read}",
    Rule.KEYWORD: "has {written}, had {read}",
    Rule.INNER: "contains itself, and has changed inside",
}
_READ = {
    Rule.MISSING: "is new and required",
    Rule.OPTIONAL: "has become required",
    Rule.UNKNOWN: "is no longer known, and unknown fields are refused",
    Rule.TYPE: "must be {read}, may have been {written}",
    Rule.VALUES: "may no longer be {written}",
    Rule.FORMAT: "must have another format: {read}, was {written}",
    Rule.BOUND: "has a tighter bound: {read}, was {written}",
    Rule.KEYWORD: "must have {read}, had {written}",
    Rule.INNER: "contains itself, and must have changed inside",
}
