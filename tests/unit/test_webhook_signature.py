"""Signatures of webhooks: the vectors that the standard publishes, its own library, and secrets that are refused."""

from base64 import b64encode
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from standardwebhooks import Webhook

from messaging.errors import ConfigurationError
from notifier.webhooks.signature import headers, read_secrets, sign

OLD = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
NEW = "whsec_" + b64encode(bytes(range(32))).decode()


@pytest.mark.parametrize(
    ("message_id", "timestamp", "body", "signature"),
    [
        # Published with the standard's libraries, for example in libraries/javascript/src/webhook.test.ts.
        (
            "msg_p5jXN8AQM9LWM0D4loKWxJek",
            1614265330,
            b'{"test": 2432232314}',
            "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
        ),
    ],
)
def test_the_published_vectors_pass(message_id: str, timestamp: int, body: bytes, signature: str) -> None:
    assert sign(read_secrets(OLD), message_id, timestamp, body) == signature


@given(st.binary(min_size=24, max_size=64), st.uuids(), st.text(), st.integers(0, 2**31))
def test_it_signs_as_the_standards_library_does(secret: bytes, message_id: object, text: str, timestamp: int) -> None:
    written = "whsec_" + b64encode(secret).decode()
    expected = Webhook(written).sign(str(message_id), datetime.fromtimestamp(timestamp, UTC), text)
    assert sign(read_secrets(written), str(message_id), timestamp, text.encode()) == expected


@pytest.mark.parametrize("has", [OLD, NEW])
def test_during_a_rotation_a_receiver_verifies_with_either_secret(has: str) -> None:
    body = b'{"type":"test"}'
    received = headers(read_secrets(f"{OLD} {NEW}"), "id", int(datetime.now(UTC).timestamp()), body)
    assert Webhook(has).verify(body, received) == {"type": "test"}


def test_a_file_may_hold_a_secret_a_line() -> None:
    assert read_secrets(f"{OLD}\n{NEW}\n") == read_secrets(f" {OLD}  {NEW}") != read_secrets(OLD)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "secret",
        OLD.removeprefix("whsec_"),
        "whsec_",
        "whsec_" + b64encode(bytes(23)).decode(),
        "whsec_" + b64encode(bytes(65)).decode(),
        "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaS!",
        "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaS",
        "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSé",
        f"{OLD},{NEW}",
        f"{OLD} secret",
    ],
)
def test_a_secret_that_is_none_is_refused_and_not_repeated(text: str) -> None:
    with pytest.raises(ConfigurationError) as refused:
        read_secrets(text)
    assert "MfKQ" not in str(refused.value)
    assert refused.value.__cause__ is None
