"""The pact files, one for each consumer and provider: written by Pact from `pact_readings`, and committed.

A consumer in another repository may add the file that its own tests wrote. Only those of our consumers are rewritten.
"""

import json
import sys
from collections.abc import Iterable
from pathlib import Path

from pact import Pact

from contracts import EventData, Subscription
from contracts.events import PUBLISHERS

from .pact_readings import OWN, effects_of, expectation

PACTS = Path(__file__).with_name("pacts")
COMMAND = "make contracts"


def pact_of(consumer: str, provider: str, effects: Iterable[Subscription[EventData]]) -> Pact:
    """Make the pact of a consumer's effects with one provider."""
    pact = Pact(consumer, provider).with_specification("V4")
    for effect in effects:
        pact.upon_receiving(effect.name, "Async").with_body(expectation(effect), "application/json")
    return pact


def write(directory: Path) -> None:
    """Write all pacts, and remove those that a consumer of this repository has no more."""
    pacts = [
        pact_of(consumer, provider, [each for each in effects_of(provider) if each.service == consumer])
        for provider in PUBLISHERS
        for consumer in {each.service for each in effects_of(provider)}
    ]
    directory.mkdir(exist_ok=True)
    for file in of_own(directory):
        file.unlink()
    for pact in pacts:
        pact.write_file(directory, overwrite=True)


def of_own(directory: Path) -> list[Path]:
    """Return the pact files whose consumers are in this repository."""
    consumers = {each.service for each in OWN}
    return [file for file in directory.glob("*.json") if json.loads(file.read_bytes())["consumer"]["name"] in consumers]


if __name__ == "__main__":
    write(Path(sys.argv[1]) if sys.argv[1:] else PACTS)
