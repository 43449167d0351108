"""People who register, at a gentle pace, in a thread of their own."""

import json
import threading
import time
import urllib.request
from urllib.error import URLError

NAMES = ("Maya Chen", "Ada Lovelace", "Grace Hopper", "Alan Turing", "Mary Jackson", "Edsger Dijkstra")
TIMEOUT = 10.0


class People:
    """Registers a user every `pace` seconds at the API `url`, from `start` to `stop`.

    `registered`: the id of each user, by address. `refused`: why others weren't. `slowest`: the longest answer, in
    seconds. `run`: what makes the addresses of this run differ from those of others.
    """

    def __init__(self, url: str, pace: float, run: str) -> None:
        self.registered: dict[str, int] = {}
        self.refused: list[str] = []
        self.slowest = 0.0
        self._url = url
        self._pace = pace
        self._run = run
        self._over = threading.Event()
        self._lock = threading.Lock()
        self._number = 0
        self._thread = threading.Thread(target=self._register_slowly, name="people", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """End the registrations, and wait for the last answer."""
        self._over.set()
        if self._thread.is_alive():
            self._thread.join(TIMEOUT)

    def crowd(self, number: int) -> None:
        """Register several at once."""
        threads = [threading.Thread(target=self._register, daemon=True) for _ in range(number)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(TIMEOUT)

    def _register_slowly(self) -> None:
        while not self._over.wait(self._pace):
            self._register()

    def _register(self) -> None:
        with self._lock:
            self._number += 1
            number = self._number
        name = NAMES[number % len(NAMES)]
        email = f"{name.split()[0].lower()}{number}.{self._run}@example.com"
        body = json.dumps({"email": email, "full_name": name}).encode()
        request = urllib.request.Request(f"{self._url}/users", body, {"Content-Type": "application/json"})  # noqa: S310  # ours
        began = time.monotonic()
        try:
            with urllib.request.urlopen(request, timeout=TIMEOUT) as answer:  # noqa: S310  # our own API
                user: int = json.load(answer)["id"]
        except (URLError, OSError, ValueError) as error:
            self.refused.append(f"{email}: {error}")
            return
        with self._lock:
            self.slowest = max(self.slowest, time.monotonic() - began)
            self.registered[email] = user
