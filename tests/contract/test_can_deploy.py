"""`contracts can-deploy`: a service of this checkout, into an environment with other schemas."""

import json
import re
from collections.abc import Mapping
from pathlib import Path
from shutil import copytree

import pytest

from .contracts_copy import ContractsCopy, contracts


@pytest.fixture
def here(tmp_path: Path) -> ContractsCopy:
    """The contracts that the service is built with."""
    return ContractsCopy(tmp_path / "contracts")


@pytest.fixture
def there(here: ContractsCopy, tmp_path: Path) -> Path:
    """The schemas of an environment; to begin with, the same."""
    return Path(copytree(here.schemas, tmp_path / "schemas"))


def add(there: Path, number: str, properties: Mapping[str, object], required: tuple[str, ...] = ()) -> None:
    """Publish another revision of user_registered there."""
    schema = json.loads((there / "user_registered.1.0.json").read_text())
    schema["$id"] = f"urn:herald:user_registered:{number[0]}"
    schema["properties"] |= properties
    schema["required"] = [name for name in schema["required"] if name not in properties] + list(required)
    (there / f"user_registered.{number}.json").write_text(json.dumps(schema))
    list_again(there)


def list_again(there: Path) -> None:
    """Write the index of what is there."""
    (there / "index.json").write_text(json.dumps(sorted({each.name for each in there.glob("*.[0-9].json")})))


def unpublish(there: Path) -> None:
    """Let no event be published there."""
    (there / "user_registered.1.0.json").unlink()
    list_again(there)


@pytest.mark.parametrize("service", ["users-api", "notifier", "auditor"])
def test_each_service_fits_what_it_was_built_with(service: str, here: ContractsCopy, there: Path) -> None:
    asked = here.run("can-deploy", "--service", service, "--against", str(there))

    assert asked.returncode == 0
    assert asked.stdout.startswith(f"yes: {service} fits {there}")
    assert "user_registered 1" in asked.stdout


@pytest.mark.parametrize("service", ["users-api", "notifier", "auditor"])
def test_optional_fields_that_are_new_there_change_nothing(service: str, here: ContractsCopy, there: Path) -> None:
    add(there, "1.1", {"locale": {"type": "string", "default": "en"}})

    assert here.run("can-deploy", "--service", service, "--against", str(there)).returncode == 0


def test_a_consumer_that_is_older_than_an_event_there_does_not_fit(here: ContractsCopy, there: Path) -> None:
    add(there, "2.0", {"locale": {"type": "string"}}, required=("locale",))

    asked = here.run("can-deploy", "--service", "notifier", "--against", str(there))

    assert asked.returncode == 1
    assert asked.stdout.startswith("no: notifier doesn't fit")
    assert "is published there, and the newest known here is 1" in asked.stdout
    assert "events of 2.0 would be parked as failed until notifier is upgraded" in asked.stdout


def test_a_consumer_that_refuses_what_is_written_there_does_not_fit(here: ContractsCopy, there: Path) -> None:
    add(there, "1.1", {"user_id": {"type": ["integer", "string"]}}, required=("user_id",))

    asked = here.run("can-deploy", "--service", "auditor", "--against", str(there))

    assert asked.returncode == 1
    assert "user_id must be integer, may have been string\n    breaks:  auditor: events of 1.1" in asked.stdout


def test_a_publisher_whose_version_is_unknown_there_waits_for_its_consumers(here: ContractsCopy, there: Path) -> None:
    unpublish(there)

    asked = here.run("can-deploy", "--service", "users-api", "--against", str(there))

    assert asked.returncode == 1
    assert "isn't known there\n    breaks:  notifier and auditor would park it as failed" in asked.stdout
    assert "instead: deploy notifier and auditor first" in asked.stdout


def test_a_publisher_that_consumers_there_refuse_does_not_fit(here: ContractsCopy, there: Path) -> None:
    add(there, "1.1", {"locale": {"type": "string"}}, required=("locale",))

    asked = here.run("can-deploy", "--service", "users-api", "--against", str(there))

    assert asked.returncode == 1
    assert (
        "locale is removed\n    breaks:  notifier and auditor of a release that knows 1.1: new events would be refused"
        in asked.stdout
    )


def test_a_consumer_without_the_model_of_an_older_version_does_not_fit(here: ContractsCopy, there: Path) -> None:
    add(there, "2.0", {})
    here.change("version: ClassVar[int] = 1", "version: ClassVar[int] = 2")

    asked = here.run("can-deploy", "--service", "notifier", "--against", str(there))

    assert asked.returncode == 1
    assert "user_registered 1\n  has no model here\n    breaks:  events of 1.0, stored or on their way" in asked.stdout
    assert "user_registered 2" not in asked.stdout.partition("compared:")[0]


def test_another_envelope_than_ours_fits_no_service(here: ContractsCopy, there: Path) -> None:
    envelope = json.loads((there / "envelope.1.0.json").read_text())
    (there / "envelope.2.0.json").write_text(json.dumps(envelope | {"$id": "urn:herald:envelope:2"}))
    list_again(there)

    asked = here.run("can-deploy", "--service", "notifier", "--against", str(there))

    assert asked.returncode == 1
    assert "envelope 2.0\n  is published there, and isn't known here" in asked.stdout


def test_a_consumer_of_an_event_that_is_not_published_there_does_not_fit(here: ContractsCopy, there: Path) -> None:
    unpublish(there)

    asked = here.run("can-deploy", "--service", "notifier", "--against", str(there))

    assert asked.returncode == 1
    assert "user_registered 1\n  isn't published there\n    breaks:  notifier would wait for it in vain" in asked.stdout
    assert (
        "instead: compare with all schemas of the environment;"
        " if no service there publishes it yet, add --not-yet user_registered" in asked.stdout
    )
    assert "compared:\n  receives user_registered (not published there)" in asked.stdout


def test_a_consumer_may_be_deployed_before_the_first_publisher_of_an_event(here: ContractsCopy, there: Path) -> None:
    ask = ("can-deploy", "--service", "notifier", "--against", str(there), "--not-yet", "user_registered")
    assert here.run(*ask).returncode == 0  # for the next deploy, when it is published
    unpublish(there)

    asked = here.run(*ask)

    assert asked.returncode == 0
    assert "receives user_registered (not published there)" in asked.stdout


@pytest.mark.parametrize(("service", "event"), [("notifier", "user_regisered"), ("users-api", "user_registered")])
def test_only_an_event_that_the_service_receives_may_be_not_yet_published(
    service: str, event: str, here: ContractsCopy, there: Path
) -> None:
    asked = here.run("can-deploy", "--service", service, "--against", str(there), "--not-yet", event)

    assert (asked.returncode, asked.stdout) == (2, "")
    assert f"{service} receives no {event}" in asked.stderr


def test_a_consumer_may_be_deployed_before_the_publisher_of_a_new_version(here: ContractsCopy, there: Path) -> None:
    version_2 = "    version: ClassVar[int] = 2\n    predecessor: ClassVar[type[EventData] | None] = V1\n"
    here.change("class UserRegistered(EventData):", "class V1(EventData):")
    here.change("EVENTS: tuple", f"class UserRegistered(V1):\n{version_2}\n\nEVENTS: tuple")

    assert here.run("can-deploy", "--service", "notifier", "--against", str(there)).returncode == 0


def test_an_unknown_service_is_told_the_known_ones(there: Path) -> None:
    asked = contracts("can-deploy", "--service", "mailer", "--against", str(there))

    assert asked.returncode == 2
    assert asked.stderr.startswith("contracts: no service is named mailer; there are ")
    assert {"auditor", "notifier", "users-api"} <= set(re.findall(r"[\w-]+", asked.stderr))
