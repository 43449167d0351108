"""Signatures of requests to Amazon: the vectors that Amazon has published, and botocore as an oracle."""

from datetime import UTC, datetime

import pytest
from botocore.auth import SigV4Auth  # type: ignore[import-untyped]
from botocore.awsrequest import AWSRequest  # type: ignore[import-untyped]
from botocore.credentials import Credentials  # type: ignore[import-untyped]
from hypothesis import given
from hypothesis import strategies as st

from notifier.providers.sigv4 import Signer

ACCESS_KEY, SECRET = "AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"
TOKEN = (
    "AQoDYXdzEPT//////////wEXAMPLEtc764bNrC9SAPBSM22wDOk4x4HIZ8j4FZTwdQWLWsKWHGBuFqwAeMicRXmxfpSPfIeoIYRqTflfKD8YUuwth"
    "Ax7mSEI/qkPpKPi/kMcGdQrmGdeehM4IC1NtBmUpp2wUE8phUZampKsburEDy0KPkyQDYwT7WZ0wq5VSXDvp75YU9HFvlRd8Tx6q6fE8YQcHNVXAki"
    "Y9q6d+xo0rKwT38xVqr7ZD0u0iPPkUL64lIZbqBAz+scqKmlzm8FDrypNC9Yjc8fPOLn9FX9KSYvKTr4rvx3iSIlTJabIQwj2ICCR/oLxBA=="
)
NOW = datetime(2015, 8, 30, 12, 36, tzinfo=UTC)
FORM = "application/x-www-form-urlencoded"


@pytest.mark.parametrize(
    ("content", "headers", "token", "signature"),
    [
        (b"", {}, "", "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b"),
        (b"", {"My-Header1": "value1"}, "", "c5410059b04c1ee005303aed430f6e6645f61f4dc9e1461ec8f8916fdf18852c"),
        (
            b"Param1=value1",
            {"Content-Type": FORM},
            "",
            "ff11897932ad3f4e8b18135d722051e5ac45fc38421b1da7b9d196a0fe09473a",
        ),
        (
            b"Param1=value1",
            {"Content-Type": f"{FORM}; charset=utf8"},
            "",
            "1a72ec8f64bd914b0e42e42607c7fbce7fb2c7465f63e3092b3b0d39fa77a6fe",
        ),
        (b"", {}, TOKEN, "85d96828115b5dc0cfc3bd16ad9e210dd772bbebba041836c64533a82be05ead"),
    ],
    ids=["post-vanilla", "post-header-key-sort", "post-form", "post-form-parameters", "post-sts-header-before"],
)
def test_the_published_vectors(content: bytes, headers: dict[str, str], token: str, signature: str) -> None:
    signer = Signer(ACCESS_KEY, SECRET, "us-east-1", "service", token)

    signed = signer.post("example.amazonaws.com", "/", content, headers, NOW)

    names = sorted({*map(str.lower, headers), "host", "x-amz-date"} | ({"x-amz-security-token"} if token else set()))
    assert signed == {
        **headers,
        "X-Amz-Date": "20150830T123600Z",
        **({"X-Amz-Security-Token": token} if token else {}),
        "Authorization": "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request, "
        f"SignedHeaders={';'.join(names)}, Signature={signature}",
    }


@given(st.binary(max_size=200), st.booleans(), st.sampled_from(["email.eu-west-1.amazonaws.com", "127.0.0.1:8080"]))
def test_botocore_signs_the_same(content: bytes, temporary: bool, authority: str) -> None:
    token = TOKEN if temporary else ""
    path, headers = "/v2/email/outbound-emails", {"Content-Type": "application/json", "Accept": "application/json"}
    now = datetime.now(UTC)

    ours = Signer(ACCESS_KEY, SECRET, "eu-west-1", "ses", token).post(authority, path, content, headers, now)

    request = AWSRequest("POST", f"https://{authority}{path}", headers=headers, data=content)
    request.context["timestamp"] = ours["X-Amz-Date"]
    oracle = SigV4Auth(Credentials(ACCESS_KEY, SECRET, token or None), "ses", "eu-west-1")
    oracle._modify_request_before_signing(request)
    canonical = oracle.canonical_request(request)
    signature = oracle.signature(oracle.string_to_sign(request, canonical), request)
    assert ours["Authorization"].endswith(f"Signature={signature}")


def test_secrets_are_not_shown() -> None:
    assert repr(Signer(ACCESS_KEY, SECRET, "eu-west-1", "ses", TOKEN)) == "Signer(region='eu-west-1', service='ses')"
