"""`contracts can-deploy --against URL`, with servers that answer badly: never yes, in bounded time, without secrets."""

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from shutil import copytree
from subprocess import CompletedProcess

import pytest

from contracts.compatibility import fetching

from .contracts_copy import ORIGINAL, contracts

Answer = Callable[[BaseHTTPRequestHandler], None]


@contextmanager
def server(answer: Answer) -> Iterator[str]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            with suppress(OSError):  # the client has left
                answer(self)

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as listening:
        thread = threading.Thread(target=listening.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{listening.server_port}"
        listening.shutdown()
        thread.join()


@pytest.fixture
def served() -> Iterator[Callable[[Answer], str]]:
    with ExitStack() as servers:
        yield lambda answer: servers.enter_context(server(answer))


def asked(where: str) -> CompletedProcess[str]:
    return contracts("can-deploy", "--service", "notifier", "--against", where)


def refused(where: str, because: str) -> None:
    answer = asked(where)
    assert (answer.returncode, answer.stdout) == (2, "")
    assert because in answer.stderr


def sends(content: bytes) -> Answer:
    def answer(request: BaseHTTPRequestHandler) -> None:
        request.send_response(200)
        request.end_headers()
        request.wfile.write(content)

    return answer


def without_end(request: BaseHTTPRequestHandler) -> None:
    request.send_response(200)
    request.end_headers()
    while True:
        request.wfile.write(b" " * 1024)


def to_a_file(request: BaseHTTPRequestHandler) -> None:
    request.send_response(302)
    request.send_header("Location", (ORIGINAL / "schemas/index.json").as_uri())
    request.end_headers()


def test_an_endless_answer_is_given_up(served: Callable[[Answer], str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fetching, "_BYTES", 100_000)
    refused(served(without_end), "it has more than 100000 bytes")


def test_a_slow_answer_is_given_up(served: Callable[[Answer], str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fetching, "_SECONDS", 0.2)
    monkeypatch.setattr(fetching, "_BYTES", 10**12)
    refused(served(without_end), "it takes more than")


def test_a_redirect_leads_to_no_file(served: Callable[[Answer], str]) -> None:
    refused(served(to_a_file), "can't be read")


@pytest.mark.parametrize("content", [b"[" * 200_000, b"\xff\xfe", b"\x1f\x8b\x08", b"<html>"])
def test_what_is_no_json_is_named(content: bytes, served: Callable[[Answer], str]) -> None:
    refused(served(sends(content)), "is no JSON")


@pytest.mark.parametrize(
    "where", ["http://ci:hunter2@127.0.0.1:9/x", "HTTPS://hunter2@127.0.0.1:9", "http://127.0.0.1:9/x?token=hunter2"]
)
def test_a_secret_is_not_printed(where: str) -> None:
    answer = asked(where)

    assert answer.returncode == 2
    assert "hunter2" not in answer.stdout + answer.stderr
    assert "fetch the files into a folder" in answer.stderr


def test_a_set_of_schemas_without_the_envelope_is_not_complete(tmp_path: Path) -> None:
    there = Path(copytree(ORIGINAL / "schemas", tmp_path / "schemas"))
    (there / "envelope.1.0.json").unlink()
    (there / "index.json").write_text(json.dumps(sorted(path.name for path in there.glob("*.*.*.json"))))

    refused(str(there), "has no envelope.1.0.json, so other files may be missing too")


@pytest.mark.parametrize(
    "wrong",
    ['"properties": []', '"required": 7', '"anyOf": []', '"type": {}', '"enum": 1', '"properties": {"email": 7}'],
)
def test_an_unsound_schema_is_named(wrong: str, tmp_path: Path) -> None:
    there = Path(copytree(ORIGINAL / "schemas", tmp_path / "schemas"))
    text = f'{{"$id": "urn:herald:user_registered:1", "type": "object", {wrong}}}'
    (there / "user_registered.1.0.json").write_text(text)

    answer = asked(str(there))

    assert answer.returncode in {1, 2}, answer.stdout
    assert "accepts nothing" in answer.stderr or "isn't a sound JSON Schema" in answer.stderr or answer.returncode == 1
