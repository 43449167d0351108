"""What docs/webhook.md tells receivers to write verifies what we sign."""

import json
import re
import time
from pathlib import Path
from typing import Any

import pytest
from standardwebhooks import WebhookVerificationError

from notifier.webhooks.signature import headers, read_secrets

PAGE = (Path(__file__).parents[2] / "docs/webhook.md").read_text()
EXAMPLES = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
OLD, NEW = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "whsec_aGVyYWxkJ3MgZmF1bHQgcmlnLCBubyBzZWNyZXQ="
BODY = re.findall(r"```json\n(.*?)\n```", PAGE, re.DOTALL)[0].encode()


@pytest.fixture(scope="module")
def example() -> dict[str, Any]:
    namespace: dict[str, Any] = {}
    for text in EXAMPLES:
        exec(text, namespace)
    return namespace


def signed(secrets: str = OLD, age: float = 0.0) -> dict[str, str]:
    return headers(read_secrets(secrets), "0197-id", int(time.time() - age), BODY)


def test_there_are_two_examples_and_the_first_takes_ten_lines() -> None:
    assert len(EXAMPLES) == 2
    assert len([line for line in EXAMPLES[0].splitlines() if line.strip()]) <= 10


@pytest.mark.parametrize("secrets", [OLD, f"{OLD} {NEW}", f"{NEW} {OLD}"])
def test_the_examples_verify_what_we_sign(example: dict[str, Any], secrets: str) -> None:
    assert example["verify"](OLD, signed(secrets), BODY) is True
    assert example["receive"](OLD, signed(secrets), BODY) == json.loads(BODY)


@pytest.mark.parametrize("change", ["secret", "body", "id", "timestamp", "old", "early", "version"])
def test_the_examples_refuse_what_is_not_ours_or_old(example: dict[str, Any], change: str) -> None:
    secret, received, body = OLD, signed(age={"old": 400, "early": -400}.get(change, 0)), BODY
    match change:
        case "secret":
            secret = NEW
        case "body":
            body = BODY.replace(b"Maya", b"Mara")
        case "id":
            received["webhook-id"] = "another"
        case "timestamp":
            received["webhook-timestamp"] = str(int(received["webhook-timestamp"]) + 1)
        case "version":
            received["webhook-signature"] = received["webhook-signature"].replace("v1,", "v2,")
    assert example["verify"](secret, received, body) is False
    with pytest.raises(WebhookVerificationError):
        example["receive"](secret, received, body)


def test_the_body_on_the_page_has_the_fields_of_the_golden() -> None:
    golden = Path(__file__).parents[1] / "contract/webhook.user_registered.json"
    shown, real = json.loads(BODY), json.loads(golden.read_text())
    assert list(shown) == list(real)
    assert list(shown["data"]) == list(real["data"])
