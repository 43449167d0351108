"""Checkpoints: signed statements, outside the database, of how far the chain reached.

The chain alone can't show that its end was cut off, or that all of it was computed anew. A checkpoint shows both,
because its signature needs a key that isn't in the database. The file has one JSON object on each line.
"""

import base64
import fcntl
import json
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from auditor.chain.seals import Head
from messaging.errors import MessagingError

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey


class ChainCut(MessagingError):
    """The chain ends before its newest checkpoint. Run: auditor verify. After a restore, move the checkpoints away."""

    def __init__(self) -> None:
        super().__init__(self.__doc__)


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """One line of the file. `line`: its number. `is_signed`: whether the signature is by the expected key."""

    head: Head
    line: int
    is_signed: bool


class Checkpoints:
    """The file that checkpoints are appended to. Several processes may do that."""

    def __init__(self, path: Path, key: "Ed25519PrivateKey") -> None:
        self._path = path
        self._key = key

    def append(self, read_head: Callable[[], Head]) -> None:
        """Append a checkpoint, unless the file's last one reaches as far. Only one process at a time reads the head.

        Raises:
            ChainCut: the last one reaches further than the chain.
        """
        with self._path.open("a+b") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            last, head = _last_line(file), read_head()
            if head.seal < _seal_of(last):
                raise ChainCut
            if head.seal > _seal_of(last):
                broken = b"\n" if last and not last.endswith(b"\n") else b""
                file.write(broken + _line(head, self._key))
                file.flush()
                os.fsync(file.fileno())


def read_checkpoints(path: Path, key: "Ed25519PublicKey") -> Iterator[Checkpoint | int]:
    """Yield the checkpoints of a file, and the number of each line that isn't one."""
    with path.open("rb") as file:
        for number, line in enumerate(file, 1):
            try:
                fields = json.loads(line)
                head = Head(int(fields["seal"]), bytes.fromhex(fields["hash"]), int(fields["rows"]))
                signature = base64.b64decode(fields.pop("signature"), validate=True)
            except (ValueError, TypeError, KeyError, AttributeError):
                yield number
            else:
                yield Checkpoint(head, number, _is_signed(key, signature, fields))


def _line(head: Head, key: "Ed25519PrivateKey") -> bytes:
    at = datetime.now(UTC).isoformat(timespec="seconds")
    fields: dict[str, Any] = {"seal": head.seal, "hash": head.hash.hex(), "rows": head.rows, "at": at}
    signature = base64.b64encode(key.sign(_signed(fields))).decode()
    return json.dumps({**fields, "signature": signature}).encode() + b"\n"


def _signed(fields: dict[str, Any]) -> bytes:
    return b"herald audit checkpoint 1\n" + json.dumps(fields, sort_keys=True, separators=(",", ":")).encode()


def _is_signed(key: "Ed25519PublicKey", signature: bytes, fields: dict[str, Any]) -> bool:
    from cryptography.exceptions import InvalidSignature

    try:
        key.verify(signature, _signed(fields))
    except InvalidSignature:
        return False
    return True


def _last_line(file: Any) -> bytes:
    file.seek(max(0, file.seek(0, os.SEEK_END) - 4096))
    lines: list[bytes] = file.readlines()
    return lines[-1] if lines else b""


def _seal_of(line: bytes) -> int:
    """Return how far a line of the file reaches; 0, if it can't be read."""
    try:
        return int(json.loads(line)["seal"])
    except (ValueError, TypeError, KeyError):
        return 0
