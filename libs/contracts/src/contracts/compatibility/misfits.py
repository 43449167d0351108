"""Do EVENTS, PUBLISHERS and SUBSCRIPTIONS fit each other?"""

from collections.abc import Iterator

from contracts.compatibility.findings import Finding
from contracts.events import EVENTS, PUBLISHERS
from contracts.subscriptions import SUBSCRIPTIONS


def misfits() -> Iterator[Finding]:
    """Yield the events that no service publishes."""
    published = {model for models in PUBLISHERS.values() for model in models}
    for model in EVENTS:
        if model not in published:
            effects = " and ".join(each.name for each in SUBSCRIPTIONS if each.event is model) or "no effect"
            yield Finding(
                f"{model.event_type} {model.version}",
                "",
                "is published by no service",
                f"{effects} would wait for it in vain",
                "name its publisher in PUBLISHERS",
            )
