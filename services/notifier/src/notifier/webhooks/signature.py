"""Signatures by Standard Webhooks, scheme `v1`: HMAC-SHA256 over `<id>.<timestamp>.<body>`.

A message has one signature for each secret, so that a receiver may verify with the old secret or the new one while
secrets are being rotated.
"""

import binascii
import hmac
from base64 import b64decode, b64encode
from collections.abc import Sequence
from hashlib import sha256
from uuid import UUID

from messaging.errors import ConfigurationError

PREFIX = "whsec_"
LENGTHS = range(24, 65)
"""The lengths of a secret that the standard allows, in bytes."""


def read_secrets(text: str) -> tuple[bytes, ...]:
    """Read WEBHOOK_SECRET: one secret, or several separated by spaces during a rotation.

    Raises:
        ConfigurationError: says what to set, and repeats nothing of the text.
    """
    secrets = tuple(map(_read_secret, text.split()))
    if not secrets:
        raise ConfigurationError("is empty; set the secret that the receiver of the webhooks has")
    return secrets


def sign(secrets: Sequence[bytes], message_id: str, timestamp: int, body: bytes) -> str:
    """Return the value of the header `webhook-signature`. `timestamp`: of this attempt, in seconds since 1970 UTC."""
    signed = f"{message_id}.{timestamp}.".encode() + body
    return " ".join(f"v1,{b64encode(hmac.digest(secret, signed, sha256)).decode()}" for secret in secrets)


def headers(secrets: Sequence[bytes], event_id: UUID | str, timestamp: int, body: bytes) -> dict[str, str]:
    """Return the headers of one attempt. The event's id is the message's id: the same in every attempt."""
    return {
        "content-type": "application/json",
        "webhook-id": str(event_id),
        "webhook-timestamp": str(timestamp),
        "webhook-signature": sign(secrets, str(event_id), timestamp, body),
    }


def _read_secret(text: str) -> bytes:
    try:
        secret = b64decode(text.removeprefix(PREFIX), validate=True)
    except (binascii.Error, ValueError):
        secret = b""
    if not text.startswith(PREFIX) or len(secret) not in LENGTHS:
        raise ConfigurationError(
            f"each secret must be {PREFIX} and then 24 to 64 random bytes in Base64, secrets separated by a space;"
            f' make one with: echo "{PREFIX}$(openssl rand -base64 32)"'
        )
    return secret
