"""Idempotency-Key: a client that didn't hear the answer asks again and gets the same one.

The answer is stored by the statement that makes it true, so there is none without its effect and no effect without it.
It is repeated for a day (`users_api/retention.py`). Source: draft-ietf-httpapi-idempotency-key-header.
"""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager

from users_api.problems import Problem


def fingerprint(request: str) -> str:
    """Tell whether two requests with one key are the same: `request` is all that must be."""
    return hashlib.sha256(request.encode()).hexdigest()


class KeysInHand:
    """The keys of the requests that this process is just executing: one at a time for each."""

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
            raise Problem(409, "A request with this Idempotency-Key is still running. Wait for it, then ask again.")
        self._keys.add(key)
        try:
            yield
        finally:
            self._keys.discard(key)
