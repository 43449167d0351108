"""The Ed25519 keys of checkpoints, as text: 32 bytes in Base64."""

import base64
import binascii
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

KEY_BYTES = 32


class KeyUnusable(ValueError):
    """It isn't an Ed25519 key: 32 bytes in Base64, as `auditor keygen` prints it."""

    def __init__(self) -> None:
        super().__init__(self.__doc__)


def new_key() -> tuple[str, str]:
    """Make a pair of keys: the one that signs, and the public one."""
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    key = Ed25519PrivateKey.generate()
    return base64.b64encode(key.private_bytes_raw()).decode(), public_text(key)


def public_text(key: "Ed25519PrivateKey") -> str:
    """Return the public half of a key, in Base64."""
    return base64.b64encode(key.public_key().public_bytes_raw()).decode()


def private_key(text: str) -> "Ed25519PrivateKey":
    """Read a key that signs.

    Raises:
        KeyUnusable: it isn't one.
    """
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    return Ed25519PrivateKey.from_private_bytes(_key_bytes(text))


def public_key(text: str) -> "Ed25519PublicKey":
    """Read a public key.

    Raises:
        KeyUnusable: it isn't one.
    """
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    return Ed25519PublicKey.from_public_bytes(_key_bytes(text))


def _key_bytes(text: str) -> bytes:
    try:
        key = base64.b64decode(text, validate=True)
    except binascii.Error:
        raise KeyUnusable from None
    if len(key) != KEY_BYTES:
        raise KeyUnusable
    return key
