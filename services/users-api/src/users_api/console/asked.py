"""The filter as a page's URL has it: the parameters of `GET /deliveries`, as a form sends them.

A form sends its empty fields too, and a person writes `1h` for a time. So empty fields are left out (except `group`,
where the empty text is the group of deliveries without an error), and times are read by `read_moment`. A parameter that
isn't known is a fault: a misspelt filter must not show all deliveries.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlencode

from pydantic import ValidationError

from users_api.delivery_filter import DeliveryFilter
from users_api.moments import read_moment

Pairs = Iterable[tuple[str, str]]

FIELDS = tuple(DeliveryFilter.model_fields)
_LISTS = {"subscription", "state"}
_TIMES = {"since", "until", "finished_since", "finished_until"}
_NOT_A_TIME = "not a time. Write 10m, 2h, 3d, 12:00 (UTC), or 2026-11-30T12:00Z."


@dataclass(frozen=True, slots=True)
class Asked:
    """What a URL asks for. `written`: its fields as they were written. `faults`: what is wrong, by field."""

    written: dict[str, Any]
    filter: DeliveryFilter
    faults: dict[str, str]

    @property
    def query(self) -> str:
        """The filter as the query of a URL, as it was written."""
        return urlencode(self.written, doseq=True)

    @property
    def is_empty(self) -> bool:
        """Whether every delivery is meant."""
        return not self.written

    @property
    def is_simple(self) -> bool:
        """Whether states and subscriptions alone are asked for: of a delivery that has changed, no more is known."""
        return not self.faults and self.written.keys() <= {"state", "subscription"}

    def but(self, **fields: str | list[str] | None) -> str:
        """Return the query with other values in some fields; None removes a field."""
        changed = {name: value for name, value in (self.written | fields).items() if value is not None}
        return urlencode(changed, doseq=True)


def read_filter(pairs: Pairs, *others: str) -> Asked:
    """Read the filter from the pairs of a query or a form. `others`: parameters that aren't about the filter."""
    written: dict[str, Any] = {}
    faults: dict[str, str] = {}
    for name, value in pairs:
        if name in others or (not value.strip() and name != "group"):
            continue
        if name not in FIELDS:
            faults[name[:50]] = f"there is no such filter. Filters: {', '.join(FIELDS)}."
        elif name in _LISTS:
            written.setdefault(name, []).append(value)
        else:
            written[name] = value if name == "group" else value.strip()
    values = dict(written)
    for name in _TIMES & values.keys():
        try:
            values[name] = read_moment(values[name], datetime.now(UTC))
        except ValueError:
            faults[name] = _NOT_A_TIME
            del values[name]
    return Asked(written, _validated(values, faults), faults)


def _validated(values: dict[str, Any], faults: dict[str, str]) -> DeliveryFilter:
    """Return the filter of the fields that are right, and record what is wrong with the others."""
    try:
        return DeliveryFilter.model_validate(values)
    except ValidationError as error:
        for fault in error.errors():
            faults[str(fault["loc"][0])] = fault["msg"]
    return DeliveryFilter.model_validate({name: value for name, value in values.items() if name not in faults})


def pairs_of(filter_: DeliveryFilter) -> list[tuple[str, str]]:
    """Return a filter as the pairs of a query or a form."""
    values = filter_.model_dump(mode="json", exclude_none=True)
    listed = ((name, value if isinstance(value, list) else [value]) for name, value in values.items())
    return [(name, str(item)) for name, items in listed for item in items]


def query_of(filter_: DeliveryFilter) -> str:
    """Return a filter as the query of a URL."""
    return urlencode(pairs_of(filter_))
