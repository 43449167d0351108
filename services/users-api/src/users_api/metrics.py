"""Metrics of users-api, for Prometheus. Each web process has a registry of its own: scrape each process."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from contracts import SUBSCRIPTIONS
from messaging.publishing.states import OVER, STATES, UNFINISHED

REGISTRY = CollectorRegistry()
SHOWN = tuple(state for state in STATES if state not in OVER)

_REQUESTS = Counter("herald_http_requests", "Requests answered.", ["method", "status"], registry=REGISTRY)
_SECONDS = Histogram("herald_http_request_seconds", "Time to answer a request.", ["method"], registry=REGISTRY)
_requests, _seconds = cache(_REQUESTS.labels), cache(_SECONDS.labels)

_CONNECTIONS = Gauge("herald_http_connections", "Open connections.", registry=REGISTRY)
_DROPPED = Counter(
    "herald_http_connections_dropped",
    "Connections that were closed because of what the client did, by reason.",
    ["reason"],
    registry=REGISTRY,
)

_DELIVERIES = Gauge(
    "herald_deliveries",
    "Deliveries that have neither succeeded nor been cancelled.",
    ["subscription", "state"],
    registry=REGISTRY,
)
_OVERDUE = Gauge(
    "herald_delivery_overdue_seconds",
    "How long the oldest delivery has waited since it was due or queued, or run since its time limit.",
    ["subscription"],
    registry=REGISTRY,
)


_UNKNOWN = Gauge(
    "herald_deliveries_of_unknown_subscriptions",
    "Unfinished deliveries that no relay takes: their subscription was renamed or removed.",
    registry=REGISTRY,
)


@dataclass(frozen=True, slots=True)
class Unfinished:
    """How many deliveries of a subscription are in a state.

    `overdue`: for how many seconds the oldest is late, negative if none is.
    """

    subscription: str
    state: str
    count: int
    overdue: float | None


def show_deliveries(unfinished: Sequence[Unfinished]) -> None:
    """Set the gauges; a declared subscription without unfinished deliveries gets 0."""
    hide_deliveries()
    counts: dict[tuple[str, str], int] = {(each.name, state): 0 for each in SUBSCRIPTIONS for state in SHOWN}
    overdue = {each.name: 0.0 for each in SUBSCRIPTIONS}
    unknown = [row for row in unfinished if row.subscription not in overdue and row.state in UNFINISHED]
    _UNKNOWN.set(sum(row.count for row in unknown))
    for row in unfinished:
        counts[row.subscription, row.state] = row.count
        overdue[row.subscription] = max(overdue.get(row.subscription, 0.0), row.overdue or 0.0)
    for (subscription, state), count in counts.items():
        _DELIVERIES.labels(subscription, state).set(count)
    for subscription, seconds in overdue.items():
        _OVERDUE.labels(subscription).set(seconds)


def hide_deliveries() -> None:
    """Unset the gauges: PostgreSQL is unreachable, and the last numbers may be wrong by now."""
    _DELIVERIES.clear()
    _OVERDUE.clear()
    _UNKNOWN.set(float("nan"))


def show_connections(number: int) -> None:
    """Set the gauge."""
    _CONNECTIONS.set(number)


def count_dropped(reason: str) -> None:
    """Count a connection that was dropped."""
    _DROPPED.labels(reason).inc()


def count_answer(method: str, status: int, seconds: float) -> None:
    """Count and time an answer."""
    _requests(method, status).inc()
    _seconds(method).observe(seconds)
