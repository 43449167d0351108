"""Is anything late, is anything tried again, or does anything wait for a person?"""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from users_api.herald import program
from users_api.herald.doctor.finding import Finding
from users_api.herald.output import number_of, span
from users_api.status.judging import LATE_SECONDS, recently_retried, unfinished

if TYPE_CHECKING:
    from users_api.status.schemas import Status, SubscriptionStatus


def check(seen: "Status") -> Iterator[Finding]:
    """Look at the oldest delivery of each subscription, and at those that failed, are uncertain or are tried again."""
    oldest = max(seen.subscriptions, key=lambda each: each.overdue_seconds)
    if oldest.overdue_seconds <= LATE_SECONDS:
        late = f"the oldest is {span(oldest.overdue_seconds)} late" if oldest.overdue_seconds else "nothing is late"
        yield Finding("deliveries", "ok", late)
    for each in seen.subscriptions:
        yield from _subscription(each)
        if retried := recently_retried(seen, each):
            yield Finding(each.name, "look", retried, f"{program()} deliveries list --subscription {each.name}")


def _subscription(each: "SubscriptionStatus") -> Iterator[Finding]:
    if each.overdue_seconds > LATE_SECONDS:
        error = f": {each.last_error.text}" if each.last_error else ""
        found = f"the oldest is {span(each.overdue_seconds)} late{error}"
        yield Finding(each.name, "wrong", found, "See what is said of relay and workers; then herald status.")
    if not each.declared and unfinished(each):
        remedy = f"{program()} deliveries cancel --all --subscription {each.name}, or a version that knows it"
        yield Finding(each.name, "wrong", "unfinished deliveries of a subscription that is unknown", remedy)
    for state, remedy in (("failed", f"{program()} deliveries groups"), ("uncertain", "docs/effects.md")):
        counted = each.states[state]  # type: ignore[index]  # one of its literals
        if counted.count:
            yield Finding(each.name, "look", f"{number_of(counted.model_dump())} {state}", remedy)
