"""Metrics of users-api, for Prometheus. Each web process has a registry of its own: scrape each process."""

from collections.abc import Mapping
from functools import cache

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from contracts import SUBSCRIPTIONS
from messaging.publishing.states import UNFINISHED
from users_api.status.backlog import Backlog

REGISTRY = CollectorRegistry()
DECLARED = {subscription.name for subscription in SUBSCRIPTIONS}

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
    "Deliveries that have neither succeeded nor been cancelled; of many, as a relay counted within the last minute.",
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


def show_deliveries(backlogs: Mapping[str, Backlog]) -> None:
    """Set the gauges. `backlogs`: by subscription; those that are declared are among them even if nothing waits."""
    hide_deliveries()
    for name, backlog in backlogs.items():
        _OVERDUE.labels(name).set(backlog.overdue)
        for state, counted in backlog.states.items():
            _DELIVERIES.labels(name, state).set(counted.count)
    unknown = [backlogs[name].states for name in backlogs.keys() - DECLARED]
    _UNKNOWN.set(sum(states[state].count for states in unknown for state in UNFINISHED))


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
