"""An event's id: unique, and in the order of time as far as a millisecond goes."""

import time
from datetime import UTC, datetime
from uuid import RFC_4122, UUID

from contracts import Event, UserRegistered, decode

from .goldens import golden

DATA = decode(golden("user_registered"), UserRegistered).data


def made(number: int) -> UUID:
    return Event.about(DATA, source="users-api", subject=f"users/{number}", correlation_id="1").id


def test_ids_begin_with_the_time_in_milliseconds_as_rfc_9562_says() -> None:
    before = time.time_ns() // 1_000_000
    ids = [made(number) for number in range(100)]
    after = time.time_ns() // 1_000_000

    assert {(each.version, each.variant) for each in ids} == {(7, RFC_4122)}
    assert all(before <= each.int >> 80 <= after for each in ids)


def test_ids_of_one_moment_differ_in_all_that_is_random() -> None:
    ids = [made(number).int for number in range(2000)]

    assert len(set(ids)) == len(ids)
    for random_bit in [*range(62), *range(64, 76)]:
        ones = sum(each >> random_bit & 1 for each in ids)
        assert 800 < ones < 1200, f"bit {random_bit}"


def test_an_event_that_happened_long_ago_gets_the_id_of_its_recording() -> None:
    event = Event.about(
        DATA, source="users-api", subject="users/1", correlation_id="1", time=datetime(2001, 1, 1, tzinfo=UTC)
    )

    assert datetime.now(UTC).timestamp() - (event.id.int >> 80) / 1000 < 60
