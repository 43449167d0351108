"""What the chain's hashes cover. docs/audit.md describes the same for other programs.

Every part has a fixed length or follows its length, so two different rows never have the same encoding.
"""

import struct
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from hashlib import sha256

SALT_BYTES = 16
HASH_BYTES = 32

NOTHING = bytes(HASH_BYTES)
"""The hash before the first seal, the leaf of a row that was missing, and the commitment of a row about no person."""

NO_SALT = bytes(SALT_BYTES)
"""What is left of a salt after an erasure."""

_EPOCH = datetime(2000, 1, 1, tzinfo=UTC)


def commitment(salt: bytes, person: bytes) -> bytes:
    """Return what stands for personal data: `person` as `chain.rows` encodes it."""
    return sha256(b"herald audit person 1\n" + salt + person).digest()


def leaf(body: bytes, committed: bytes) -> bytes:
    """Return a row's leaf: `body` as `chain.rows` encodes it, and its commitment."""
    return sha256(b"herald audit row 1\n" + committed + body).digest()


def seal(number: int, previous: bytes, sealed_at: bytes, rows: int, row_ids: Sequence[int], leaves: bytes) -> bytes:  # noqa: PLR0913, PLR0917  # what a seal covers
    """Return a seal's hash. The parameters are the columns of `audit_seals`; the time is encoded (`microseconds`)."""
    head = struct.pack(">q", number) + previous + sealed_at + struct.pack(">qq", rows, len(row_ids))
    return sha256(b"herald audit seal 1\n" + head + struct.pack(f">{len(row_ids)}q", *row_ids) + leaves).digest()


def microseconds(time: datetime) -> bytes:
    """Encode a time as PostgreSQL's `timestamptz_send` does: microseconds since 2000, eight bytes."""
    return struct.pack(">q", (time - _EPOCH) // timedelta(microseconds=1))


def parts(data: bytes, size: int) -> list[bytes]:
    """Cut a column that holds one value of `size` bytes for each row."""
    return [data[start : start + size] for start in range(0, len(data), size)]
