"""`contracts can-deploy --against`: a folder or a URL, which has all schemas of an environment, or is no answer."""

import json
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from shutil import copytree
from subprocess import CompletedProcess

import pytest

from .contracts_copy import ORIGINAL, contracts


@pytest.fixture
def there(tmp_path: Path) -> Path:
    return Path(copytree(ORIGINAL / "schemas", tmp_path / "schemas"))


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


@pytest.fixture(params=["folder", "URL"])
def where(request: pytest.FixtureRequest, there: Path, served: str) -> str:
    return served if request.param == "URL" else str(there)


def asked(where: str) -> CompletedProcess[str]:
    return contracts("can-deploy", "--service", "notifier", "--against", where)


def refused(where: str, because: str) -> None:
    answer = asked(where)
    assert (answer.returncode, answer.stdout) == (2, ""), where
    assert answer.stderr.startswith("contracts: ")
    assert because in answer.stderr


def test_a_whole_set_is_an_answer(where: str, there: Path) -> None:
    assert asked(where).returncode == asked(f"{where}/").returncode == 0

    kept = ["envelope.1.0.json", "user_registered.1.0.json"]
    (there / "index.json").write_text(json.dumps(kept))
    for path in there.iterdir():
        if path.name not in {"index.json", *kept}:
            path.unlink()
    assert asked(where).returncode == 1


def test_a_copy_that_lacks_a_listed_file_is_no_answer(where: str, there: Path) -> None:
    (there / "user_registered.1.0.json").unlink()

    refused(where, f"{where}/user_registered.1.0.json can't be read: ")
    refused(where, ", though index.json lists it")


def test_a_copy_without_its_index_is_no_answer(where: str, there: Path) -> None:
    (there / "index.json").unlink()

    refused(where, f"{where}/index.json can't be read: ")


def test_a_folder_with_a_schema_that_its_index_does_not_list_is_no_answer(there: Path) -> None:
    (there / "user_registered.99.0.json").write_text("{}")

    refused(str(there), "index.json doesn't list user_registered.99.0.json, which is there")


def test_what_cannot_be_answered_is_neither_yes_nor_no(there: Path, served: str) -> None:
    for where, fault in (
        (str(there / "gone"), "/gone/index.json can't be read: No such file"),
        (str(there.parent), "/index.json can't be read: No such file"),
        (str(there / "index.json"), "can't be read: Not a directory"),
        (f"{served}/gone", "404"),
        ("http://127.0.0.1:9/", "can't be read"),
        ("http://127.0.0.1:x/", "can't be read"),
    ):
        refused(where, fault)


@pytest.mark.parametrize("index", ["{}", "[1]", '["../../etc/passwd"]', "["])
def test_a_broken_index_is_refused(where: str, there: Path, index: str) -> None:
    (there / "index.json").write_text(index)

    refused(where, "index.json")
