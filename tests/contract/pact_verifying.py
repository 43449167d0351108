"""Verify a provider: are the messages that it writes what the pacts of its consumers state?

Pact alone would pass a pact without interactions, a pact of another provider, and a pending interaction that fails. So
what it reports as verified is compared with the table of subscriptions: for each subscription of a service of this
repository to one of the provider's events there must be an interaction, and it must have been verified. No lack of a
pact can look like success. A consumer in another repository may hand in a pact; what it states is verified too.

Pact's library asks an HTTP server for each message, by the interaction's description. That server is this module's own,
because the one of pact-python leaves its socket open, and takes half a second to end.
"""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

from pact import Verifier

from contracts import EventData, Subscription

from .pact_readings import effects_of, subscriptions_of

Message = Mapping[str, Any]


class PactUnverified(AssertionError):
    """A message isn't what a consumer's pact states, or a pact is missing. The reason names the consumer's effect."""


def verify(provider: str, directory: Path, messages: Mapping[str, Message]) -> None:
    """Verify messages of a provider, by event type, against the pacts in a directory.

    Raises:
        PactUnverified: a message isn't what a pact states, or there is no such pact.
    """
    events = {each.name: each.event_type for each in subscriptions_of(provider)}
    if not events:
        raise PactUnverified(f"{provider} publishes no event to which there is a subscription")
    unknown: list[str] = []
    failures: list[str] = []

    def message(effect: str) -> bytes:
        if effect not in events:
            unknown.append(effect)
        return json.dumps(messages[events[effect]] if effect in events else None).encode()

    with _serving(message) as port:
        verifier = Verifier(provider).add_transport(protocol="message", port=port, path="/")
        verifier.add_source(directory)
        try:
            verifier.verify()
        except RuntimeError:  # its own message says nothing
            failures.append(verifier.output(strip_ansi=True))
    if unknown:  # such a pact may accept anything, so verification alone may pass
        failures.insert(0, f"{', '.join(unknown)} is no subscription to an event of {provider}")
    if failures:
        raise PactUnverified("\n".join(failures))
    _require_all(provider, effects_of(provider), verifier.results["interactionResults"])


def failures(error: PactUnverified) -> str:
    """Return the part of Pact's output that says which effects object, and to what."""
    return str(error).partition("Failures:")[2]


def _require_all(
    provider: str, effects: Iterable[Subscription[EventData]], results: Iterable[Mapping[str, Any]]
) -> None:
    """Check that what each effect states was verified."""
    verified = {
        (result["consumer"], result["description"])
        for result in results
        if result["provider"] == provider and result["result"] == "OK"
    }
    if missing := {(each.service, each.name) for each in effects} - verified:
        names = ", ".join(f"{effect} of {consumer}" for consumer, effect in sorted(missing))
        raise PactUnverified(f"no pact with {provider} was verified for: {names}")


@contextmanager
def _serving(message: Callable[[str], bytes]) -> Iterator[int]:
    """Serve messages by description to Pact's library, and yield the port."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:  # named by http.server
            request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            content = message(request["description"])
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

    with HTTPServer(("localhost", 0), Handler) as server:
        thread = Thread(target=server.serve_forever, args=[0.01])
        thread.start()
        try:
            yield server.server_port
        finally:
            server.shutdown()
            thread.join()
