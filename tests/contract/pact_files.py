"""The pact files, one for each consumer and provider: written by Pact from `pact_readings`, and committed."""

import sys
from collections.abc import Iterable
from pathlib import Path

from pact import Pact

from contracts import EventData, Subscription
from contracts.events import PUBLISHERS

from .pact_readings import effects_of, expectation

PACTS = Path(__file__).with_name("pacts")
COMMAND = "make contracts"


def pact_of(consumer: str, provider: str, effects: Iterable[Subscription[EventData]]) -> Pact:
    """Make the pact of a consumer's effects with one provider."""
    pact = Pact(consumer, provider).with_specification("V4")
    for effect in effects:
        pact.upon_receiving(effect.name, "Async").with_body(expectation(effect), "application/json")
    return pact


def write(directory: Path) -> None:
    """Write all pacts, and remove those that no consumer has any more."""
    directory.mkdir(exist_ok=True)
    for file in directory.glob("*.json"):
        file.unlink()
    for provider in PUBLISHERS:
        effects = effects_of(provider)
        for consumer in {each.service for each in effects}:
            own = [each for each in effects if each.service == consumer]
            pact_of(consumer, provider, own).write_file(directory, overwrite=True)


if __name__ == "__main__":
    write(Path(sys.argv[1]) if sys.argv[1:] else PACTS)
