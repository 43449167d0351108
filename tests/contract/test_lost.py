"""Published files that are deleted, edited or half-written, so that a breaking change would pass."""

import json
from pathlib import Path

import pytest

from contracts import ContractError
from contracts.compatibility.golden import read_golden
from contracts.compatibility.publishing import write

from .contracts_copy import ContractsCopy

NAME = "    full_name: str\n"
FIRST = "user_registered.1.0.json"


@pytest.fixture
def copy(tmp_path: Path) -> ContractsCopy:
    return ContractsCopy(tmp_path / "contracts")


def refuses(copy: ContractsCopy, *said: str) -> None:
    """Both commands refuse, with these words, and write nothing."""
    before = copy.files()
    for asked in (copy.check(), copy.generate()):
        assert asked.returncode == 1, asked.stdout + asked.stderr
        for words in said:
            assert words in asked.stdout
    assert copy.files() == before


def test_a_deleted_schema_does_not_let_a_break_through(copy: ContractsCopy) -> None:
    (copy.schemas / FIRST).unlink()
    copy.change(NAME, "    name: str\n")

    refuses(copy, "user_registered 1.0\n  is no longer published", f"restore {copy.schemas}/{FIRST}")


def test_an_earlier_revision_that_is_deleted_is_missed(copy: ContractsCopy) -> None:
    copy.change(NAME, NAME + "    locale: str | None = None\n")
    assert copy.generate().returncode == 0
    for path in (copy.schemas / FIRST, copy.schemas / "index.json", copy.golden / FIRST):
        path.unlink()

    refuses(copy, "user_registered 1.0\n  is no longer published")


def test_a_golden_message_is_of_a_published_schema(copy: ContractsCopy) -> None:
    (copy.golden / "user_left.1.0.json").write_text((copy.golden / FIRST).read_text())

    refuses(copy, "user_left 1.0\n  is no longer published", "or remove what refers to it, if it never was")


@pytest.mark.parametrize("index", [None, ["user_registered.1.0.json"]])
def test_an_index_without_a_schema_is_mended(copy: ContractsCopy, index: list[str] | None) -> None:
    before = copy.files()
    path = copy.schemas / "index.json"
    path.write_text(json.dumps(index)) if index else path.unlink()

    checked = copy.check()
    assert checked.returncode == 1
    assert "run `make contracts` to publish\n\n  index.json doesn't list what is published" in checked.stdout

    assert copy.generate().returncode == 0
    assert copy.files() == before


@pytest.mark.parametrize(
    ("name", "content", "fault"),
    [
        ("user_registered.1.x.json", "{}", "isn't named like user_registered.1.0.json"),
        (FIRST, "{", "is no JSON"),
        (FIRST, "[]", "is no message with its source and its data"),
        (FIRST, "{}", "is no message with its source and its data"),
    ],
)
def test_a_broken_golden_message_is_named(name: str, content: str, fault: str, tmp_path: Path) -> None:
    (tmp_path / name).write_text(content)

    with pytest.raises(ContractError, match=fault):
        read_golden(tmp_path)


def test_a_broken_golden_message_stops_the_publishing_before_anything_is_written(copy: ContractsCopy) -> None:
    (copy.golden / FIRST).write_text("{")
    copy.change(NAME, NAME + "    locale: str | None = None\n")
    before = copy.files()

    assert copy.generate().returncode == 2
    assert copy.files() == before


def test_the_order_of_the_fields_is_no_revision(copy: ContractsCopy) -> None:
    copy.change(NAME, "")
    copy.change("    email: str\n", NAME + "    email: str\n")

    assert "user_registered 1.0 is described in other words" in copy.check().stdout


def test_what_is_generated_elsewhere_leaves_the_package_alone(copy: ContractsCopy, tmp_path: Path) -> None:
    document = copy.folder / "src/contracts/asyncapi/document.json"
    before = document.read_bytes()

    assert copy.run("generate", str(tmp_path / "elsewhere")).returncode == 0

    assert (tmp_path / "elsewhere/schemas" / FIRST).exists()
    assert document.read_bytes() == before


def test_a_file_is_written_as_a_whole(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    write(path, "old")

    with pytest.raises(UnicodeEncodeError):
        write(path, "new, but not to its end \udc80")

    assert path.read_text() == "old"
