"""`contracts check` and `contracts generate`, on copies of libs/contracts that are changed as a developer would."""

import json
from pathlib import Path

import pytest

from .contracts_copy import ORIGINAL, ContractsCopy, contracts

NAME = "    full_name: str\n"

VERSION_2 = '''class UserRegisteredV1(EventData):
    """A user registered, and the registration is committed."""

    event_type: ClassVar[str] = "user_registered"
    version: ClassVar[int] = 1

    user_id: int
    email: str
    full_name: str
    registered_at: AwareDatetime


class UserRegistered(EventData):
    """A user registered, and the registration is committed."""

    event_type: ClassVar[str] = "user_registered"
    version: ClassVar[int] = 2
    predecessor: ClassVar[type[EventData] | None] = UserRegisteredV1

    user_id: int
    email: str
    name: str
    registered_at: AwareDatetime

    @classmethod
    def upcast(cls, old: UserRegisteredV1) -> "UserRegistered":
        return cls(user_id=old.user_id, email=old.email, name=old.full_name, registered_at=old.registered_at)


'''


@pytest.fixture
def copy(tmp_path: Path) -> ContractsCopy:
    return ContractsCopy(tmp_path / "contracts")


def test_the_models_are_published_and_break_nothing() -> None:
    """If this fails, what it prints says what to do; mostly `make contracts`."""
    checked = contracts("check", str(ORIGINAL))

    assert checked.returncode == 0, checked.stdout + checked.stderr
    assert "user_registered 1.0" in checked.stdout


def test_a_breaking_change_is_refused_with_what_it_breaks_and_writes_nothing(copy: ContractsCopy) -> None:
    before = copy.files()
    copy.change(NAME, "    name: str\n")

    checked, generated = copy.check(), copy.generate()

    assert (checked.returncode, generated.returncode) == (1, 1)
    assert copy.files() == before
    for printed in (checked.stdout, generated.stdout):
        assert "full_name is removed (renamed to name?)" in printed
        assert "name is new and required (renamed from full_name?)" in printed
        assert "breaks:  notifier and auditor of a release that knows 1.0: new events would be refused" in printed
        assert "instead: give the field a default, or leave version 1 as it is, and add version 2" in printed


def test_a_new_optional_field_is_a_revision_and_needs_a_golden_message(copy: ContractsCopy) -> None:
    before = copy.files()
    copy.change(NAME, NAME + "    locale: str | None = None\n")

    checked = copy.check()
    assert checked.returncode == 1
    assert "user_registered 1.1 is new, and its changes are harmless" in checked.stdout
    assert "make contracts" in checked.stdout

    assert copy.generate().returncode == 0
    assert copy.files() == before | {name: copy.files()[name] for name in ("index.json", "user_registered.1.1.json")}
    assert "user_registered.1.1.json" in json.loads((copy.schemas / "index.json").read_text())

    checked = copy.check()
    assert checked.returncode == 1
    assert "has no golden message" in checked.stdout
    assert f"instead: write {copy.golden}/user_registered.1.1.json, a message as users-api writes it" in checked.stdout

    message = json.loads((copy.golden / "user_registered.1.0.json").read_text())
    message["data"]["locale"] = "de"
    (copy.golden / "user_registered.1.1.json").write_text(json.dumps(message))
    assert "SHA256SUMS doesn't list what is published" in copy.check().stdout
    assert copy.generate().returncode == 0
    assert copy.check().returncode == 0


def test_a_field_that_is_no_longer_there_still_binds(copy: ContractsCopy) -> None:
    """Some database holds messages with the field, so it may not come back as something else."""
    copy.change(NAME, NAME + "    locale: str | None = None\n")
    copy.generate()
    copy.change("    locale: str | None = None\n", "")
    copy.generate()
    copy.change(NAME, NAME + "    locale: int = 0\n")

    generated = copy.generate()

    assert generated.returncode == 1
    assert (
        "locale must be integer, may have been string\n    breaks:  notifier and auditor: events of 1.1, stored"
        in generated.stdout
    )


def test_another_description_is_no_revision(copy: ContractsCopy) -> None:
    before = copy.files()
    copy.change("A user registered, and", "A person registered, and")

    assert copy.check().returncode == 1
    assert "user_registered 1.0 is described in other words" in copy.generate().stdout
    assert copy.files().keys() == before.keys()
    assert copy.check().returncode == 0


def test_a_new_version_is_published_beside_the_old_one_and_needs_a_golden_message(copy: ContractsCopy) -> None:
    text = (copy.folder / "src/contracts/events.py").read_text()
    copy.change(text[text.index("class UserRegistered(") : text.index("EVENTS:")], VERSION_2)

    generated = copy.generate().stdout
    assert "user_registered 2.0 is new" in generated
    assert f"instead: write {copy.golden}/user_registered.2.0.json" in generated
    assert "user_registered 2.0\n  has no golden message" in copy.check().stdout

    message = json.loads((copy.golden / "user_registered.1.0.json").read_text())
    (copy.golden / "user_registered.2.0.json").write_text(json.dumps(message))
    assert "has a golden message that isn't of urn:herald:user_registered:2" in copy.check().stdout

    message["dataschema"] = "urn:herald:user_registered:2"
    (copy.golden / "user_registered.2.0.json").write_text(json.dumps(message))
    assert "has a golden message that can't be read: data.name: Field required" in copy.check().stdout

    message["data"]["name"] = message["data"].pop("full_name")
    (copy.golden / "user_registered.2.0.json").write_text(json.dumps(message))
    assert copy.generate().returncode == 0
    assert copy.check().returncode == 0


def test_a_published_version_keeps_its_model(copy: ContractsCopy) -> None:
    copy.change(
        "    version: ClassVar[int] = 1\n\n    user_id: int\n", "    version: ClassVar[int] = 2\n\n    user_id: int\n"
    )

    checked = copy.check()

    assert checked.returncode == 1
    assert "user_registered 1\n  has no model\n" in checked.stdout
    assert "breaks:  events of 1.0, stored or on their way" in checked.stdout
    assert "instead: keep its model, as a predecessor" in checked.stdout


@pytest.mark.parametrize(
    ("content", "fault"),
    [
        ("[]", "is no JSON Schema whose $id"),
        ("{", "is no JSON"),
        ('{"$id": "urn:herald:user_registered:2"}', "whose $id is the version that the file's name says"),
        ('{"$id": "urn:herald:user_registered:1", "$ref": "#/$defs/Gone"}', "refers to #/$defs/Gone, and has no such"),
    ],
)
def test_a_broken_schema_is_named(copy: ContractsCopy, content: str, fault: str) -> None:
    (copy.schemas / "user_registered.1.0.json").write_text(content)

    checked = copy.check()

    assert (checked.returncode, checked.stdout) == (2, "")
    assert fault in checked.stderr
    assert "Traceback" not in checked.stderr


def test_a_model_that_is_read_in_another_form_than_it_is_written_is_refused(copy: ContractsCopy) -> None:
    copy.change(NAME, NAME + "    fee: Decimal\n")
    copy.change("from typing import ClassVar\n", "from decimal import Decimal\nfrom typing import ClassVar\n")

    checked = copy.check()

    assert checked.returncode == 2
    assert "UserRegistered is read in another form than it is written" in checked.stderr


def test_a_forgotten_upcast_is_mended_and_no_golden_message_is_changed(copy: ContractsCopy) -> None:
    text = (copy.folder / "src/contracts/events.py").read_text()
    upcast = VERSION_2[VERSION_2.index("    @classmethod") :]
    copy.change(text[text.index("class UserRegistered(") : text.index("EVENTS:")], VERSION_2.replace(upcast, "\n\n"))
    copy.generate()
    assert "golden/user_registered.1.0.json" in copy.sums.read_text()

    checked = copy.check()

    assert "user_registered 1.0\n  has a golden message that can't be read: " in checked.stdout
    assert "raised NotImplementedError" in checked.stdout
    assert "instead: leave the message as it is, and mend the model or its upcast" in checked.stdout


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        (
            '{"users-api": (UserRegistered,)}',
            "{}",
            "is published by no service\n    breaks:  welcome_email and audit_log",
        ),
        ("EVENTS: tuple[type[EventData], ...] = (", "EVENTS: tuple[type[EventData], ...] = (Other, ", "user_left 1\n"),
    ],
)
def test_events_publishers_and_subscriptions_fit_each_other(copy: ContractsCopy, old: str, new: str, says: str) -> None:
    other = 'class Other(EventData):\n    event_type: ClassVar[str] = "user_left"\n    version: ClassVar[int] = 1\n\n\n'
    copy.change("class UserRegistered(", f"{other}class UserRegistered(")
    copy.change(old, new)
    before = copy.files()

    for asked in (copy.check(), copy.generate()):
        assert asked.returncode == 1
        assert says in asked.stdout
    assert copy.files() == before
