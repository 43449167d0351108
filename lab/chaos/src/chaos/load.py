"""Clients: they register users over HTTP, each with an Idempotency-Key, and repeat a request that got no answer."""

import http.client
import json
import random
import threading
import time
from collections import Counter
from dataclasses import dataclass
from uuid import UUID

PATIENCE = 120.0
"""Seconds for which a client repeats a request before it gives up."""

Reply = tuple[int, http.client.HTTPMessage, bytes]


@dataclass(frozen=True, slots=True)
class Answered:
    """A registration that was answered 201. `seconds`: the time of the request that got the answer."""

    user_id: int
    at: float
    seconds: float
    tries: int


class Load:
    """Registers `total` users, `clients` at a time.

    Args:
        port: where the API listens.
        per_second: how many to begin each second; as many as the clients manage, if None.
    """

    def __init__(self, port: int, total: int, seed: int, *, clients: int = 16, per_second: float | None = None) -> None:
        self.total = total
        self.answered: dict[str, Answered] = {}
        self.unavailable = 0
        self.unanswered = 0
        self.wrong: Counter[str] = Counter()
        """Answers that no client should get, and how often."""
        self._port = port
        self._per_second = per_second
        self._random = random.Random(seed)  # noqa: S311  # no secret
        self._lock = threading.Lock()
        self._begun = 0
        self._threads = [threading.Thread(target=self._client, daemon=True) for _ in range(clients)]

    def start(self) -> None:
        """Begin."""
        self._started = time.monotonic()
        for thread in self._threads:
            thread.start()

    def join(self) -> None:
        """Wait until every client has finished."""
        for thread in self._threads:
            thread.join()

    def stop(self) -> None:
        """Begin no more registrations."""
        with self._lock:
            self.total = self._begun

    @property
    def running(self) -> bool:
        """Whether any client is still working."""
        return any(thread.is_alive() for thread in self._threads)

    def seconds(self, since: float = 0.0, until: float = float("inf")) -> list[float]:
        """Return, sorted, how long the requests took that were answered at once between two moments (monotonic)."""
        return sorted(
            each.seconds for each in list(self.answered.values()) if each.tries == 1 and since <= each.at < until
        )

    def _client(self) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=10)
        while (begun := self._next()) is not None:
            number, key = begun
            if self._per_second:
                time.sleep(max(0.0, self._started + number / self._per_second - time.monotonic()))
            try:
                self._register(connection, f"u{number}@example.com", key)
            except Exception as error:  # a client that dies unnoticed would make a row green
                with self._lock:
                    self.wrong[f"a client failed: {error!r}"] += 1
        connection.close()

    def _next(self) -> tuple[int, str] | None:
        with self._lock:
            if self._begun >= self.total:
                return None
            self._begun += 1
            return self._begun, str(UUID(int=self._random.getrandbits(128), version=4))

    def _register(self, connection: http.client.HTTPConnection, email: str, key: str) -> None:
        body = json.dumps({"email": email, "full_name": f"User {email.partition('@')[0]}"})
        headers = {"content-type": "application/json", "idempotency-key": key}
        deadline = time.monotonic() + PATIENCE
        tries = 0
        while time.monotonic() < deadline:
            tries += 1
            began = time.monotonic()
            reply = _ask(connection, body, headers)
            if reply is not None and reply[0] == http.client.CREATED:
                now = time.monotonic()
                self.answered[email] = Answered(json.loads(reply[2])["id"], now, now - began, tries)
                return
            if not self._may_repeat(reply):
                return
            time.sleep(0.05 if reply is None else 0.5)
        self.wrong["no answer, for two minutes"] += 1

    def _may_repeat(self, reply: Reply | None) -> bool:
        """Count the answer that came instead of a 201, and return whether to ask again."""
        with self._lock:
            if reply is None:
                self.unanswered += 1
                return True
            status, headers, body = reply
            if headers.get_content_type() == "application/problem+json":
                if status == http.client.SERVICE_UNAVAILABLE and headers["retry-after"]:
                    self.unavailable += 1
                    return True
                if status == http.client.CONFLICT and b"still running" in body:
                    return True
            self.wrong[f"{status} {body[:200].decode(errors='replace')}"] += 1
            return False


def _ask(connection: http.client.HTTPConnection, body: str, headers: dict[str, str]) -> Reply | None:
    """Send one request; None if the connection broke before an answer came."""
    try:
        connection.request("POST", "/users", body, headers)
        response = connection.getresponse()
        return response.status, response.headers, response.read()
    except (OSError, http.client.HTTPException):
        connection.close()
        return None
