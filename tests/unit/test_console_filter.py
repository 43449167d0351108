"""The filter in a page's URL, and the times that people type."""

from datetime import UTC, datetime

import pytest

from users_api.console.asked import pairs_of, query_of, read_filter

NOW = datetime(2026, 11, 30, 15, 30, tzinfo=UTC)


def test_empty_fields_of_a_form_are_left_out() -> None:
    asked = read_filter([("email", ""), ("error", " "), ("state", "failed"), ("state", "uncertain"), ("since", "")])

    assert (asked.filter.email, asked.filter.error, asked.filter.state) == (None, None, ["failed", "uncertain"])
    assert (asked.query, asked.faults) == ("state=failed&state=uncertain", {})
    assert not asked.is_empty


def test_the_empty_group_is_a_group() -> None:
    assert read_filter([("group", "")]).filter.group == ""


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        ("stat", "failed", "no such filter"),
        ("state", "lost", "Input should be"),
        ("since", "soon", "not a time"),
        ("finished_since", "soon", "not a time"),
        ("finished_until", "1700000000", "not a time"),
        ("since", "2026-02-30", "not a time"),
        ("until", "999999d", "not a time"),
        ("event", "7", "UUID"),
        ("user", "0", "greater than"),
        ("email", "maya", "not a valid email"),
    ],
)
def test_a_fault_names_its_field_and_the_rest_still_counts(name: str, value: str, says: str) -> None:
    asked = read_filter([(name, value), ("error", "550")])

    assert says in asked.faults[name]
    assert asked.filter.error == "550"


def test_a_filter_is_the_same_after_a_round_trip() -> None:
    pairs = [("state", "failed"), ("subscription", "webhook"), ("error", "a&b=c"), ("since", "2026-11-30T12:00:00Z")]
    pairs += [("until", "2026-11-30T12:01Z"), ("finished_since", "10m"), ("finished_until", "12:00")]
    filter_ = read_filter(pairs).filter

    assert filter_.finished_since
    assert filter_.finished_until

    assert read_filter(pairs_of(filter_)).filter == filter_
    assert query_of(filter_) == query_of(read_filter(pairs_of(filter_)).filter)


def test_other_values_can_be_put_into_a_query() -> None:
    asked = read_filter([("state", "failed"), ("error", "550")])
    assert asked.but(state=["uncertain"], error=None) == "state=uncertain"
