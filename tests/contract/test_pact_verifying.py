"""Verification can't pass silently: each change of a field that a pact states is red."""

from collections.abc import Mapping

import pytest

from .pact_files import PACTS
from .pact_readings import EVENTS, OWN, READINGS, Field, Json, example, fields, messages, parent_of
from .pact_verifying import PactUnverified, failures, verify


@pytest.mark.parametrize("provider", sorted(set(EVENTS.values())))
def test_the_golden_messages_are_what_the_pacts_state(provider: str) -> None:
    verify(provider, PACTS, messages())


STATED = sorted({(each.event_type, field) for each in OWN for field in fields(READINGS.get(each.name, {}))}, key=str)


def objecting(error: PactUnverified) -> list[str]:
    return [each.name for each in OWN if f" - {each.name}\n" in failures(error)]


def path(field: Field) -> str:
    return "$" + "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in field)


def blamed(error: PactUnverified, field: Field) -> bool:
    """Return whether an effect objects to this field: to its value, or to its absence."""
    absence = f"{path(field[:-1])} -> Actual map is missing the following keys: {field[-1]}"
    return f"{path(field)} -> " in failures(error) or absence in failures(error)


def mutants(event: str, field: Field) -> dict[str, Json]:
    """Return messages in which a field is missing, or isn't what it was."""
    name = str(field[-1])
    value = parent_of(example(event), field)[name]
    other: Mapping[str, Json] = {
        "removed": {},
        "renamed": {f"{name}_": value},
        "null": {name: None},
        "of another type": {name: str(value) if isinstance(value, int) else 42},
    }
    mutated = {}
    for kind, fields_instead in other.items():
        message = example(event)
        parent = parent_of(message, field)
        del parent[name]
        parent.update(fields_instead)
        mutated[kind] = message
    return mutated


@pytest.mark.parametrize(("event", "field"), STATED, ids=lambda each: each if isinstance(each, str) else each[-1])
def test_a_producer_that_changes_a_field_is_refused_by_those_that_state_it(event: str, field: Field) -> None:
    readers = [each.name for each in OWN if each.event_type == event and field in fields(READINGS[each.name])]
    for kind, message in mutants(event, field).items():
        with pytest.raises(PactUnverified) as refused:
            verify(EVENTS[event], PACTS, messages(**{event: message}))
        assert blamed(refused.value, field), kind
        assert objecting(refused.value) == readers, kind


@pytest.mark.parametrize(
    ("event", "field", "value"),
    [
        ("user_registered", ("time",), "14.03.2026 15:09:26"),
        ("user_registered", ("time",), "2026-03-14T15:09:26"),
        ("user_registered", ("time",), "2026-03-14 15:09:26Z"),
        ("user_registered", ("data", "registered_at"), "1773500966"),
        ("user_registered", ("id",), "42"),
        ("user_registered", ("type",), "user_deleted"),
        ("user_registered", ("dataschema",), "urn:herald:user_registered:99"),
        ("user_registered", ("data", "user_id"), 1.5),
        ("user_registered", ("data", "user_id"), True),
        ("report_due", ("data", "slot"), "06:00"),
        ("report_ready", ("data", "files"), []),
        ("report_ready", ("data", "files", 0), "registrations.csv"),
        ("report_ready", ("data", "files", 0, "size"), "47 bytes"),
        ("effect_confirmed", ("data", "event_id"), "42"),
    ],
    ids=str,
)
def test_a_producer_that_writes_another_value_is_refused(event: str, field: Field, value: object) -> None:
    message = example(event)
    parent_of(message, field)[field[-1]] = value

    with pytest.raises(PactUnverified) as refused:
        verify(EVENTS[event], PACTS, messages(**{event: message}))

    assert blamed(refused.value, field)


def test_what_no_effect_reads_may_change() -> None:
    message = example("user_registered") | {"traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"}
    del message["subject"], message["source"]
    message["data"]["locale"] = "de"

    verify("users-api", PACTS, messages(user_registered=message))
