"""`contracts can-deploy`: a service of this checkout, into an environment with other schemas."""

import json
import threading
from collections.abc import Iterator, Mapping
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
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
    (there / "index.json").write_text(json.dumps(sorted({each.name for each in there.glob("*.[0-9].json")})))


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
    (there / "user_registered.1.0.json").unlink()

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

    asked = here.run("can-deploy", "--service", "notifier", "--against", str(there))

    assert asked.returncode == 1
    assert "envelope 2.0\n  is published there, and isn't known here" in asked.stdout


@pytest.fixture
def served(there: Path) -> Iterator[str]:
    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(there))) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def test_the_schemas_may_be_at_a_url(here: ContractsCopy, there: Path, served: str) -> None:
    assert here.run("can-deploy", "--service", "notifier", "--against", f"{served}/").returncode == 0

    add(there, "2.0", {})
    assert here.run("can-deploy", "--service", "notifier", "--against", served).returncode == 1


def test_what_cannot_be_answered_is_neither_yes_nor_no(there: Path, served: str) -> None:
    for where, fault in (
        (str(there / "gone"), "gone is no folder"),
        (str(there.parent), "has no file such as user_registered.1.0.json"),
        (f"{served}/gone", "404"),
        ("http://127.0.0.1:9/", "can't be read"),
        ("http://127.0.0.1:x/", "can't be read"),
    ):
        asked = contracts("can-deploy", "--service", "notifier", "--against", where)
        assert (asked.returncode, asked.stdout) == (2, ""), where
        assert asked.stderr.startswith("contracts: ")
        assert fault in asked.stderr


@pytest.mark.parametrize("index", ["{}", "[1]", '["../../etc/passwd"]', "["])
def test_a_broken_index_is_refused(there: Path, served: str, index: str) -> None:
    (there / "index.json").write_text(index)

    asked = contracts("can-deploy", "--service", "notifier", "--against", served)

    assert asked.returncode == 2
    assert "index.json" in asked.stderr


def test_an_unknown_service_is_told_the_known_ones(there: Path) -> None:
    asked = contracts("can-deploy", "--service", "mailer", "--against", str(there))

    assert asked.returncode == 2
    assert asked.stderr == "contracts: no service is named mailer; there are auditor, notifier, users-api\n"
