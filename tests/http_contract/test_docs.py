"""README and docs/: each command with curl is executed, and each `METHOD /path` is an operation."""

import re
import shlex
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit

import httpx
import pytest
from tests.integration.live_api import LiveApi

from .conformance import assert_documented
from .document import OPERATIONS, Operation
from .test_examples import request

CHECKOUT = Path(__file__).parents[2]
PAGES = {str(page.relative_to(CHECKOUT)): page for page in [CHECKOUT / "README.md", *(CHECKOUT / "docs").rglob("*.md")]}

_BLOCK = re.compile(r"^```sh\n(.*?)^```$", re.DOTALL | re.MULTILINE)
_MENTION = re.compile(r"\b(GET|POST|PUT|PATCH|DELETE) (/[\w{}/.-]*)((?:\?[^\s`]*)?)")
FIRST_SEGMENTS = {operation.path.split("/")[1] for operation in OPERATIONS.values()}


def commands(text: str) -> list[list[str]]:
    """Return the arguments of each curl in the shell blocks of a page."""
    lines = [line for block in _BLOCK.findall(text) for line in block.replace("\\\n", " ").splitlines()]
    return [shlex.split(line.split(" | ")[0], comments=True) for line in lines if line.startswith("curl ")]


def mentions(text: str) -> list[tuple[str, str, str]]:
    """Return method, path and query of each request to users-api that a page names."""
    return [each for each in _MENTION.findall(text) if each[1].split("/")[1] in FIRST_SEGMENTS]


def send(api: LiveApi, arguments: list[str]) -> httpx.Response:
    """Do what curl would do. Fails if it has an option that is unknown here."""
    method, headers, body, url, is_stream = "GET", {}, None, "", False
    rest = iter(arguments[1:])
    for argument in rest:
        match argument:
            case "-s" | "-i":
                pass
            case "-N":
                is_stream = True
            case "-X":
                method = next(rest)
            case "-H":
                name, _, value = next(rest).partition(": ")
                headers[name] = value
            case "-d":
                method, body = "POST", next(rest)
            case _:
                assert not argument.startswith("-"), argument
                url = argument
    host, slash, path = url.removeprefix("http://").partition("/")
    assert host == "localhost:8000", "the API of the documentation"
    return request(api, is_stream, method=method, url=slash + path, headers=headers, content=body)


def operation_of(method: str, path: str) -> Operation | None:
    """Return the operation that has this method, and a path like this: a parameter stands for any segment."""
    for operation in OPERATIONS.values():
        pattern = re.sub(r"{\w+}", "[^/]+", operation.path)
        if operation.method.upper() == method and re.fullmatch(pattern, path):
            return operation
    return None


@pytest.mark.parametrize("page", sorted(name for name, page in PAGES.items() if commands(page.read_text())))
def test_the_commands_of_a_page_succeed_in_their_order(api: LiveApi, page: str) -> None:
    for arguments in commands(PAGES[page].read_text()):
        answer = send(api, arguments)

        assert answer.is_success, shlex.join(arguments)
        operation = operation_of(answer.request.method, answer.request.url.path)
        assert operation is not None
        assert_documented(operation, answer)


def test_readme_has_commands() -> None:
    assert len(commands(PAGES["README.md"].read_text())) >= 4


@pytest.mark.parametrize("page", sorted(name for name, page in PAGES.items() if mentions(page.read_text())))
def test_a_request_that_a_page_names_is_an_operation_with_its_parameters(page: str) -> None:
    for method, path, query in mentions(PAGES[page].read_text()):
        operation = operation_of(method, path)

        assert operation is not None, f"{method} {path}"
        described = {each["name"] for each in operation.description.get("parameters", []) if each["in"] == "query"}
        assert {name for name, _ in parse_qsl(urlsplit(query).query, keep_blank_values=True)} <= described


def test_a_command_and_a_mention_that_are_wrong_are_found(api: LiveApi) -> None:
    [command] = commands("```sh\ncurl -s localhost:8000/user/1 | python3 -m json.tool # x\n```\n")

    assert send(api, command).status_code == 404
    assert operation_of("GET", "/user/1") is None
    assert operation_of("POST", "/users/1") is None
    assert mentions("See `POST /users/1/emails?x=1`, not `POST /mails`.") == [("POST", "/users/1/emails", "?x=1")]
