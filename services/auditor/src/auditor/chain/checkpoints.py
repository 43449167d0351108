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


UNREADABLE = (ValueError, TypeError, KeyError, AttributeError, OverflowError, RecursionError)
"""What reading a line raises that isn't a checkpoint, whatever it holds."""

TAIL_BYTES = 4096
"""Where the newest checkpoint is sought first."""


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
    """The file that checkpoints are appended to. Several processes may do that. Only lines that `key` signed count."""

    def __init__(self, path: Path, key: "Ed25519PrivateKey") -> None:
        self._path = path
        self._key = key

    def append(self, read_head: Callable[[], Head]) -> None:
        """Append a checkpoint, unless the file's newest one reaches as far. Only one process at a time reads the head.

        Raises:
            ChainCut: the newest one reaches further than the chain.
        """
        with self._path.open("a+b") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            reached, head = self._reached(file), read_head()
            if head.seal < reached:
                raise ChainCut
            if head.seal > reached:
                file.write(_end_of_line(file) + _line(head, self._key))
                file.flush()
                os.fsync(file.fileno())

    def _reached(self, file: Any) -> int:
        """Return the seal of the newest checkpoint that this key signed; 0, if there is none."""
        size, key = file.seek(0, os.SEEK_END), self._key.public_key()
        for start in (max(0, size - TAIL_BYTES), 0):
            file.seek(start)
            for line in reversed(file.readlines()):
                checkpoint = _read(line, 0, key)
                if checkpoint and checkpoint.is_signed:
                    return checkpoint.head.seal
        return 0


def read_checkpoints(path: Path, key: "Ed25519PublicKey") -> Iterator[Checkpoint | int]:
    """Yield the checkpoints of a file, and the number of each line that isn't one."""
    with path.open("rb") as file:
        for number, line in enumerate(file, 1):
            yield _read(line, number, key) or number


def _read(line: bytes, number: int, key: "Ed25519PublicKey") -> Checkpoint | None:
    """Read a line of the file; return None, if it isn't a checkpoint."""
    try:
        fields = json.loads(line)
        head = Head(int(fields["seal"]), bytes.fromhex(fields["hash"]), int(fields["rows"]))
        signature = base64.b64decode(fields.pop("signature"), validate=True)
        return Checkpoint(head, number, _is_signed(key, signature, fields))
    except UNREADABLE:
        return None


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


def _end_of_line(file: Any) -> bytes:
    """Return what ends the file's last line, if a writer died in the middle of it."""
    if file.seek(0, os.SEEK_END) == 0:
        return b""
    file.seek(-1, os.SEEK_END)
    return b"" if file.read(1) == b"\n" else b"\n"
