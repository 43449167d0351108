"""Idempotency-Key: a client that missed the answer repeats its request, and gets the same answer.

The answer is stored by the statement that registers the user, so neither exists without the other. It is kept for a
day (`users_api/retention.py`). Source: draft-ietf-httpapi-idempotency-key-header.
"""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager

from users_api.problems import Problem

STILL_RUNNING = "A request with this Idempotency-Key is still running. Wait for it, then ask again."


def fingerprint(request: str) -> str:
    """Return a digest of a request. Two requests with the same key must have the same one."""
    return hashlib.sha256(request.encode()).hexdigest()


class KeysInHand:
    """The keys of the requests that this process is executing. Each key is used by one request at a time."""

    def __init__(self) -> None:
        self._keys: set[str] = set()

    @contextmanager
    def hold(self, key: str | None) -> Iterator[None]:
        """Hold a key while its request is executed.

        Raises:
            Problem: 409 if a request with this key is being executed.
        """
        if key is None:
            yield
            return
        if key in self._keys:
            raise Problem(409, STILL_RUNNING)
        self._keys.add(key)
        try:
            yield
        finally:
            self._keys.discard(key)
