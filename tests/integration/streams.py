"""A client of `GET /live`."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx
from tests.patience import PATIENCE


@dataclass
class Sent:
    """A server-sent event. `data`: decoded."""

    kind: str = ""
    id: str = ""
    data: Any = None
    retry: str = ""


@dataclass
class Stream:
    """An open stream. `received`: what has been read so far."""

    response: httpx.Response
    lines: Iterator[str]
    received: list[Sent] = field(default_factory=list)

    def next(self) -> Sent:
        """Read the next event. httpx' timeout fails the test if there is none."""
        sent = Sent()
        for line in self.lines:
            name, _, value = line.partition(": ")
            match name:
                case "":
                    if sent != Sent():
                        self.received.append(sent)
                        return sent
                case "event":
                    sent.kind = value
                case "data":
                    sent.data = json.loads(value)
                case "id" | "retry":
                    setattr(sent, name, value)
        raise EOFError

    def until(self, condition: Callable[[Sent], bool]) -> Sent:
        """Read on to an event for which the condition holds."""
        while not condition(sent := self.next()):
            pass
        return sent

    def delivery(self, state: str, subscription: str = "audit_log") -> Sent:
        """Read on to a delivery in a state."""

        def is_it(sent: Sent) -> bool:
            return sent.kind == "delivery" and (sent.data["subscription"], sent.data["state"]) == (subscription, state)

        return self.until(is_it)


@contextmanager
def watching(http: httpx.Client, query: str = "", last_id: str | None = None) -> Iterator[Stream]:
    """Open a stream until the block ends."""
    headers = {} if last_id is None else {"Last-Event-ID": last_id}
    with http.stream("GET", f"/live{query}", headers=headers, timeout=PATIENCE) as response:
        response.raise_for_status()
        yield Stream(response, response.iter_lines())
