"""The pact files, one for each consumer and provider: written by Pact from `pact_readings`, and committed."""

import sys
from collections.abc import Iterable
from itertools import groupby
from pathlib import Path

from pact import Pact

from contracts import SUBSCRIPTIONS, EventData, Subscription

from .pact_readings import expectation, provider_of

PACTS = Path(__file__).with_name("pacts")
COMMAND = ".venv/bin/python -m tests.contract.pact_files"


def pact_of(subscriptions: Iterable[Subscription[EventData]]) -> Pact:
    """Make the pact of subscriptions that have one consumer and one provider."""
    subscriptions = list(subscriptions)
    [(consumer, provider)] = {(each.service, provider_of(each)) for each in subscriptions}
    pact = Pact(consumer, provider).with_specification("V4")
    for subscription in subscriptions:
        message = pact.upon_receiving(subscription.name, "Async")
        message.with_body(expectation(subscription), "application/json")
    return pact


def write(directory: Path) -> None:
    """Write all pacts, and remove those that no consumer has any more."""
    directory.mkdir(exist_ok=True)
    for file in directory.glob("*.json"):
        file.unlink()
    ordered = sorted(SUBSCRIPTIONS, key=lambda each: (each.service, provider_of(each)))
    for _, subscriptions in groupby(ordered, key=lambda each: (each.service, provider_of(each))):
        pact_of(subscriptions).write_file(directory, overwrite=True)


if __name__ == "__main__":
    write(Path(sys.argv[1]) if sys.argv[1:] else PACTS)
