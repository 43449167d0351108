"""Verification can't pass silently: each lack of a pact is red. A pact of another team is verified too."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from contracts import SUBSCRIPTIONS, RetryPolicy, Subscription, UserRegistered

from . import pact_readings
from .pact_files import PACTS
from .pact_readings import Json, example, messages
from .pact_verifying import PactUnverified, failures, verify


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
