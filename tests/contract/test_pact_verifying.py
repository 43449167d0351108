"""Verification can't pass silently: each change of a field that a pact states is red, and each lack of a pact too."""

import json
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from contracts import SUBSCRIPTIONS, RetryPolicy, Subscription, UserRegistered
from contracts.events import PUBLISHERS

from . import pact_readings
from .pact_files import PACTS
from .pact_readings import OWN, READINGS, Field, Json, example, fields, parent_of
from .pact_verifying import PactUnverified, verify

EVENTS = {event.event_type: provider for provider, events in PUBLISHERS.items() for event in events}
"""A publisher of each event."""


def messages(**changed: Json) -> dict[str, Json]:
    """Return a message of each event, by type: the example, unless another is given."""
    return {event: example(event) for event in EVENTS} | changed


@pytest.mark.parametrize("provider", sorted(set(EVENTS.values())))
def test_the_golden_messages_are_what_the_pacts_state(provider: str) -> None:
    verify(provider, PACTS, messages())


STATED = sorted({(each.event_type, field) for each in OWN for field in fields(READINGS.get(each.name, {}))}, key=str)


def failures(error: PactUnverified) -> str:
    """Return the part of Pact's output that says which effects object, and to what."""
    return str(error).partition("Failures:")[2]


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


# What a pact lacks


def impossible(pact: Json) -> None:
    mail = welcome_email(pact)
    mail["contents"]["content"]["data"]["email"] = "nobody@example.com"
    del mail["matchingRules"]["body"]["$.data.email"]


def welcome_email(pact: Json) -> Json:
    found: Json = next(each for each in pact["interactions"] if each["description"] == "welcome_email")
    return found


def no_interaction(pact: Json) -> None:
    pact["interactions"] = []


def one_interaction_less(pact: Json) -> None:
    del pact["interactions"][0]


def another_provider(pact: Json) -> None:
    pact["provider"]["name"] = "user-api"


def another_consumer(pact: Json) -> None:
    pact["consumer"]["name"] = "notifyer"


def pending(pact: Json) -> None:
    impossible(pact)
    welcome_email(pact)["pending"] = True


def unknown_effect(pact: Json) -> None:
    pact["interactions"].append(pact["interactions"][0] | {"description": "text_message"})


@pytest.fixture
def pacts(tmp_path: Path) -> Path:
    """A copy of the pacts."""
    return Path(shutil.copytree(PACTS, tmp_path / "pacts"))


Change = Callable[[Json], None]


@pytest.mark.parametrize(
    "change",
    [impossible, no_interaction, one_interaction_less, another_provider, another_consumer, pending, unknown_effect],
)
def test_a_pact_that_is_not_verified_is_red(change: Change, pacts: Path) -> None:
    file = pacts / "notifier-users-api.json"
    pact = json.loads(file.read_text("utf-8"))
    change(pact)
    file.write_text(json.dumps(pact), "utf-8")

    with pytest.raises(PactUnverified):
        verify("users-api", pacts, messages())


NEWSLETTER = Subscription(
    name="newsletter",
    event=UserRegistered,
    queue="newsletter",
    retry=RetryPolicy(max_attempts=3, first_delay=1, max_delay=300),
)


@pytest.fixture
def of_another_team(pacts: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The pact of a consumer in another repository, whose subscription is declared here."""
    monkeypatch.setattr(pact_readings, "SUBSCRIPTIONS", (*SUBSCRIPTIONS, NEWSLETTER))
    pact = json.loads((pacts / "notifier-users-api.json").read_text("utf-8"))
    mail = welcome_email(pact) | {"description": "newsletter"}
    pact |= {"consumer": {"name": "newsletter"}, "interactions": [mail]}
    file = pacts / "newsletter-users-api.json"
    file.write_text(json.dumps(pact), "utf-8")
    return file


def test_a_pact_of_another_team_is_verified(of_another_team: Path) -> None:
    verify("users-api", of_another_team.parent, messages())

    message = example("user_registered")
    del message["time"]
    with pytest.raises(PactUnverified) as refused:
        verify("users-api", of_another_team.parent, messages(user_registered=message))
    assert " - newsletter\n" in failures(refused.value)


def test_a_team_elsewhere_need_not_hand_in_a_pact(of_another_team: Path) -> None:
    of_another_team.unlink()

    verify("users-api", of_another_team.parent, messages())


@pytest.mark.parametrize("states", ["what a mail reads", "nothing"])
def test_a_pact_with_an_unknown_effect_names_it(states: str, pacts: Path) -> None:
    file = pacts / "notifier-users-api.json"
    pact = json.loads(file.read_text("utf-8"))
    unknown_effect(pact)
    if states == "nothing":
        del pact["interactions"][-1]["contents"]
    file.write_text(json.dumps(pact), "utf-8")

    with pytest.raises(PactUnverified, match="text_message is no subscription to an event of users-api"):
        verify("users-api", pacts, messages())


def test_a_pact_that_is_missing_is_red_and_named(pacts: Path) -> None:
    (pacts / "auditor-users-api.json").unlink()

    with pytest.raises(PactUnverified, match="users-api was verified for: audit_log of auditor, daily_report of aud"):
        verify("users-api", pacts, messages())


def test_no_pacts_at_all_are_red(tmp_path: Path) -> None:
    with pytest.raises(PactUnverified):
        verify("users-api", tmp_path, messages())


def test_a_file_that_is_no_pact_is_red(pacts: Path) -> None:
    (pacts / "notifier-users-api.json").write_text("{", "utf-8")

    with pytest.raises(PactUnverified):
        verify("users-api", pacts, messages())


def test_a_provider_that_publishes_nothing_is_red() -> None:
    with pytest.raises(PactUnverified, match="user-api publishes no event"):
        verify("user-api", PACTS, messages())


def test_a_message_that_was_not_written_is_red() -> None:
    with pytest.raises(PactUnverified):
        verify("users-api", PACTS, {"report_due": example("report_due")})
