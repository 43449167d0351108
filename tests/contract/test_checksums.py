"""What was published stays as it was: SHA256SUMS says what each schema and golden message is."""

import json
import subprocess
from pathlib import Path

import pytest

from .contracts_copy import ORIGINAL, ContractsCopy

NAME = "    full_name: str\n"
FIRST = "user_registered.1.0.json"
SECOND = "user_registered.1.1.json"


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Contracts with two published revisions of user_registered."""
    copy = ContractsCopy(tmp_path_factory.mktemp("original") / "contracts")
    copy.change(NAME, NAME + "    locale: str | None = None\n")
    message = json.loads((copy.golden / FIRST).read_text())
    message["data"]["locale"] = "de"
    (copy.golden / SECOND).write_text(json.dumps(message))
    assert copy.generate().returncode == 0
    assert copy.check().returncode == 0
    return copy.folder


@pytest.fixture
def copy(original: Path, tmp_path: Path) -> ContractsCopy:
    return ContractsCopy(tmp_path / "contracts", original)


def refused(copy: ContractsCopy, *said: str) -> None:
    """Both commands refuse, with these words, and write nothing."""
    before = copy.files(), copy.sums.read_bytes()
    for asked in (copy.check(), copy.generate()):
        assert asked.returncode == 1, asked.stdout + asked.stderr
        for words in said:
            assert words in asked.stdout
    assert (copy.files(), copy.sums.read_bytes()) == before


def test_the_sums_are_those_that_sha256sum_reads() -> None:
    checked = subprocess.run(
        ["sha256sum", "--check", "--strict", "SHA256SUMS"], cwd=ORIGINAL, capture_output=True, text=True, check=False
    )

    assert checked.returncode == 0, checked.stdout + checked.stderr
    assert f"golden/{FIRST}: OK" in checked.stdout
    assert "schemas/envelope.1.0.json: OK" in checked.stdout


def test_an_edited_golden_message_is_refused(copy: ContractsCopy) -> None:
    path = copy.golden / FIRST
    path.write_text(path.read_text().replace("users/1", "users/7").replace("Maya Chen", "Ada Byron"))

    refused(
        copy,
        "user_registered 1.0\n  has another golden message than the one that was published",
        "breaks:  nothing shows that messages as they are stored can be read",
        f"instead: restore {path} from the history",
    )


def test_a_deleted_golden_message_is_refused(copy: ContractsCopy) -> None:
    (copy.golden / FIRST).unlink()

    refused(copy, "user_registered 1.0\n  has lost its golden message", f"instead: restore {copy.golden / FIRST}")


@pytest.mark.parametrize(("keyword", "value"), [("required", ["user_id", None]), ("required", 1), ("properties", "")])
def test_an_edited_schema_that_is_none_any_more_is_named(keyword: str, value: object, copy: ContractsCopy) -> None:
    schema = json.loads((copy.schemas / SECOND).read_text())
    (copy.schemas / SECOND).write_text(json.dumps(schema | {keyword: value}))

    for asked in (copy.check(), copy.generate()):
        assert (asked.returncode, asked.stdout) == (2, "")
        assert asked.stderr.startswith("contracts: a schema of urn:herald:user_registered:1 isn't a sound JSON Schema")


def test_a_checkout_has_the_published_bytes_on_every_platform() -> None:
    """Git for Windows writes other line ends than were committed, unless it is told not to."""
    files = [f"schemas/{FIRST}", f"golden/{FIRST}", "SHA256SUMS"]
    told = ["git", "check-attr", "text", "--", *files]
    asked = subprocess.run(told, cwd=ORIGINAL, capture_output=True, text=True, check=True)

    assert asked.stdout.splitlines() == [f"{each}: text: unset" for each in files]


def test_swapped_golden_messages_are_refused(copy: ContractsCopy) -> None:
    first, second = copy.golden / FIRST, copy.golden / SECOND
    old = first.read_text()
    first.write_text(second.read_text())
    second.write_text(old)

    refused(copy, *(f"user_registered {number}\n  has another golden message" for number in ("1.0", "1.1")))


def test_a_schema_that_is_edited_with_its_model_is_refused(copy: ContractsCopy) -> None:
    copy.change("    user_id: int\n", "    user_id: int | str\n")
    for name in (FIRST, SECOND):
        schema = json.loads((copy.schemas / name).read_text())
        schema["properties"]["user_id"] = {"anyOf": [{"type": "integer"}, {"type": "string"}], "title": "User Id"}
        (copy.schemas / name).write_text(json.dumps(schema))

    refused(
        copy,
        "user_registered 1.0\n  has another schema than the one that was published",
        "breaks:  changes are compared with what never was, so a break would pass",
        f"instead: restore {copy.schemas / FIRST} from the history",
    )


def test_a_schema_that_is_deleted_with_its_index_and_its_golden_message_is_missed(copy: ContractsCopy) -> None:
    copy.change("    locale: str | None = None\n", "")
    for path in (copy.schemas / SECOND, copy.schemas / "index.json", copy.golden / SECOND):
        path.unlink()

    refused(copy, "user_registered 1.1\n  is no longer published", "  has lost its golden message\n")


def test_what_was_never_released_may_be_published_anew(copy: ContractsCopy) -> None:
    """As the message says: without its line in SHA256SUMS."""
    path = copy.golden / SECOND
    path.write_text(path.read_text().replace('"de"', '"fr"'))
    refused(copy, "if it was never released, remove its line from SHA256SUMS and run `make contracts`")
    lines = copy.sums.read_text().splitlines(keepends=True)
    copy.sums.write_text("".join(each for each in lines if f"golden/{SECOND}" not in each))

    checked = copy.check()
    assert checked.returncode == 1
    assert "make contracts` to publish\n\n  SHA256SUMS doesn't list what is published" in checked.stdout

    assert copy.generate().returncode == 0
    assert copy.check().returncode == 0


def test_another_description_is_published_with_its_sum(copy: ContractsCopy) -> None:
    before = copy.sums.read_text().splitlines()
    copy.change("A user registered, and", "A person registered, and")

    assert copy.generate().returncode == 0
    assert copy.check().returncode == 0
    changed = set(copy.sums.read_text().splitlines()) - set(before)
    assert [line.partition("  ")[2] for line in changed] == [f"schemas/{SECOND}"]


def test_a_golden_message_that_is_wrong_is_not_published(copy: ContractsCopy) -> None:
    copy.change(NAME, NAME + "    nickname: str | None = None\n")
    third = copy.golden / "user_registered.1.2.json"
    message = json.loads((copy.golden / SECOND).read_text())
    third.write_text(json.dumps(message | {"dataschema": "urn:herald:user_registered:7"}))

    assert "user_registered 1.2\n  has a golden message that can't be read" in copy.generate().stdout
    third.write_text(json.dumps(message))
    assert copy.generate().returncode == 0
    assert copy.check().returncode == 0


@pytest.mark.parametrize(
    "line", ["<<<<<<< main", "7  schemas/envelope.1.0.json", f"{'0' * 64} ../../etc/passwd", "\udcff"], ids=ascii
)
def test_a_broken_line_is_named(line: str, copy: ContractsCopy) -> None:
    copy.sums.write_bytes(copy.sums.read_bytes() + f"{line}\n".encode("utf-8", "surrogateescape"))

    checked = copy.check()

    assert (checked.returncode, checked.stdout) == (2, "")
    assert "SHA256SUMS has a line that isn't a SHA-256 and a published file: " in checked.stderr
