"""What schemathesis loads into its process: what the document says in words alone, and a record of every answer.

The document describes names, addresses and keys by length, format and pattern, and says the rest in words: a name is
readable, an address is not in a reserved domain, a key is used for one request. Requests here keep to the words too.
What they leave out is tested by hand, in tests/integration.
"""

import base64
import json
import os
import unicodedata
from http import HTTPStatus
from itertools import count
from pathlib import Path
from typing import Any

import schemathesis
from hypothesis import strategies as st
from schemathesis import Case, HookContext, Response

KEY = "Idempotency-Key"
SEQUENCES = os.environ["HTTP_PHASES"] == "stateful"

RESERVED = {"alt", "arpa", "example", "internal", "invalid", "local", "localhost", "onion", "test"}
"""Domains that no mail can be sent to (RFC 6761 and its successors)."""

_answers = Path(os.environ["HTTP_ANSWERS"]).open("a", encoding="utf-8")  # noqa: SIM115  # for the whole process
_bodies: dict[str, str] = {}  # of each key
_addresses: set[str] = set()
_events: list[str] = []
_numbers = count(1)

schemathesis.openapi.format(
    "cursor", st.integers(0, 2**63 - 1).map(lambda after: base64.urlsafe_b64encode(str(after).encode()).decode())
)
schemathesis.openapi.format(
    "delivery_cursor", st.uuids().map(lambda event_id: base64.urlsafe_b64encode(event_id.bytes + b"audit_log").decode())
)


@schemathesis.hook
def before_load_schema(context: HookContext, raw_schema: dict[str, Any]) -> None:
    """For sequences, leave out X-Correlation-ID: schemathesis would take it for the id of something to create first.

    Then no sequence would begin with a registration.
    """
    if SEQUENCES:
        headers = raw_schema["paths"]["/users"]["post"]["parameters"]
        headers[:] = [header for header in headers if header["name"] != "X-Correlation-ID"]


@schemathesis.hook
def filter_body(context: HookContext, body: Any) -> bool:
    """Leave out names that are not readable, and reserved domains."""
    if not isinstance(body, dict):
        return True
    chosen = body.get("filter")
    is_public = not isinstance(chosen, dict) or _is_public(chosen.get("email"))
    return is_public and _is_readable(body.get("full_name")) and _is_public(body.get("email"))


@schemathesis.hook
def filter_query(context: HookContext, query: dict[str, Any] | None) -> bool:
    """Leave out reserved domains."""
    return _is_public((query or {}).get("email"))


@schemathesis.hook
def before_call(context: HookContext, case: Case[Any], kwargs: dict[str, Any]) -> None:
    """Register most addresses once, and show events that exist. In sequences, links do so."""
    if case.meta is None or not case.meta.generation.mode.is_positive:
        return
    if case.operation.label == "POST /users":
        _register(case)
    if case.operation.label == "GET /events/{event_id}" and _events and not SEQUENCES and next(_numbers) % 2:
        case.path_parameters = {"event_id": _events[-1]}


def _register(case: Case[Any]) -> None:
    """Use a key for one body, and most addresses once: many would be those of the examples, and answered 409.

    In sequences all of them: Hypothesis gives up when the same choices have another outcome.
    """
    if not isinstance(case.body, dict):
        return
    number = next(_numbers)
    email = str(case.body["email"])
    if email in _addresses and (number % 4 or SEQUENCES):
        case.body = {**case.body, "email": f"user{number}@example.com"}
    _addresses.add(email)
    key, body = case.headers.get(KEY), repr(case.body)
    if key is not None and _bodies.setdefault(key, body) != body:
        case.headers[KEY] = f"key-{number}"


@schemathesis.hook
def after_call(context: HookContext, case: Case[Any], response: Response) -> None:
    """Record an answer, and the events of its deliveries."""
    [kind] = response.headers.get("content-type", [""])
    answer = [case.operation.label, case.method, response.status_code, kind.partition(";")[0]]
    _answers.write(json.dumps(answer) + "\n")
    _answers.flush()
    if case.operation.label == "GET /users/{user_id}/deliveries" and response.status_code == HTTPStatus.OK:
        _events.extend(delivery["event_id"] for delivery in response.json()["deliveries"])


def _is_readable(name: object) -> bool:
    if not isinstance(name, str):
        return True  # wrong in another way
    categories = {unicodedata.category(character) for character in name.strip()}
    return any(category[0] in "LNPS" for category in categories) and not categories & {"Cc", "Cs", "Zl", "Zp"}


def _is_public(email: object) -> bool:
    return not isinstance(email, str) or email.rpartition(".")[2].strip().lower() not in RESERVED
