"""Searching deliveries, and grouping their errors."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from messaging.process.database import Pool
from messaging.publishing import looking, searching
from messaging.publishing.error_groups import group_of, matching
from messaging.publishing.filtering import Filter
from messaging.publishing.searching import NEWEST, Found, Place, Total, groups, search
from messaging.publishing.states import DEAD, FINAL, STATES, TROUBLED, DeliveryState

from .searched import NOW, read, write, write_recent

MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)


def find(pool: Pool, limit: int = 50, after: Place = NEWEST, **fields: Any) -> Found:
    return read(pool, search(Filter(**fields), limit, after))


def found(pool: Pool, **fields: Any) -> list[tuple[str, str, str]]:
    """Return subject, subscription and state of what is found."""
    return [(row["subject"], row["subscription"], row["state"]) for row in find(pool, **fields).rows]


@pytest.fixture
def history(users_pool: Pool) -> dict[str, UUID]:
    """One audit_log delivery in each state, the first state newest; the welcome emails are pending."""
    return {
        state: write(users_pool, index, state, f"550 no {state}" if state in TROUBLED else None, ago=index * MINUTE)
        for index, state in enumerate(STATES)
    }


def test_without_a_filter_all_are_found_newest_first(users_pool: Pool, history: dict[str, UUID]) -> None:
    page = find(users_pool)

    assert [row["event_id"] for row in page.rows[::2]] == list(history.values())
    assert {row["subscription"] for row in page.rows} == {"audit_log", "welcome_email"}
    assert (page.total, page.next, page.searched_to) == (Total(count=16, exact=True), None, None)


@pytest.mark.parametrize("state", STATES)
def test_each_state_is_found(users_pool: Pool, history: dict[str, UUID], state: DeliveryState) -> None:
    rows = found(users_pool, states=(state,), subscriptions=("audit_log",))
    assert rows == [(f"users/{STATES.index(state)}", "audit_log", state)]


@pytest.mark.parametrize(
    ("fields", "states"),
    [
        ({"states": ("failed", "succeeded")}, ["succeeded", "failed"]),
        ({"states": ("failed", "uncertain", "retrying")}, ["retrying", "failed", "uncertain"]),
        ({"states": ("queued", "running")}, ["queued", "running"]),
        ({"error": "NO F"}, ["failed"]),
        ({"error": "550"}, ["retrying", "failed", "uncertain"]),
        ({"error": "550", "states": ("failed", "cancelled")}, ["failed"]),
        ({"error": "5_0"}, []),
        ({"error": "%"}, []),
        ({"group": "550 no uncertain"}, ["uncertain"]),
        ({"subject": "users/5"}, ["failed"]),
        ({"subject": "users/5", "states": ("running",)}, []),
        ({"subject": "users/4711"}, []),
        ({"since": NOW - 2 * MINUTE}, ["pending", "queued", "running"]),
        ({"until": NOW - 6 * MINUTE}, ["cancelled"]),
        ({"since": NOW - 5 * MINUTE, "until": NOW - 3 * MINUTE, "states": ("failed", "uncertain")}, ["failed"]),
        ({"finished_since": NOW - 30 * MINUTE}, ["succeeded", "failed", "uncertain", "cancelled"]),
        ({"finished_since": NOW - 30 * MINUTE, "error": "550"}, ["failed", "uncertain"]),
        ({"finished_since": NOW - 30 * MINUTE, "error": "550", "states": ("failed", "retrying")}, ["failed"]),
        ({"finished_since": NOW - 30 * MINUTE, "states": ("retrying",)}, []),
        ({"finished_since": NOW - 30 * MINUTE, "subject": "users/5"}, ["failed"]),
        ({"finished_until": NOW - 30 * MINUTE}, []),
    ],
)
def test_filters(users_pool: Pool, history: dict[str, UUID], fields: dict[str, Any], states: list[str]) -> None:
    rows = found(users_pool, subscriptions=("audit_log",), **fields)
    assert [state for _, _, state in rows] == states


ENDS = {f"{state}, {minutes} min ago": (state, minutes * MINUTE) for state in FINAL for minutes in (5, 15, 25)}
NARROW = [DEAD, ("failed",), (*DEAD, "retrying"), ("succeeded",), ("failed", "succeeded"), None]


@pytest.mark.parametrize("states", NARROW, ids=["dead", "failed", "troubled", "succeeded", "mixed", "none"])
@pytest.mark.parametrize("window", [1, 3, 100])
def test_what_ended_in_a_time_is_found_however_old_its_event_is(
    users_pool: Pool, monkeypatch: pytest.MonkeyPatch, states: tuple[DeliveryState, ...] | None, window: int
) -> None:
    now = datetime.now(UTC)
    events = {
        write_recent(users_pool, index, state, "550 no", ago=timedelta(days=1, hours=index), ended=ended): (
            state,
            ended,
        )
        for index, (state, ended) in enumerate(ENDS.values())
    }
    for name in ("WINDOW", "INDEX_WINDOW", "FEW_ROWS"):
        monkeypatch.setattr(looking, name, window)

    rows, after = [], NEWEST
    while True:
        bounds = {"finished_since": now - 20 * MINUTE, "finished_until": now - 10 * MINUTE}
        page = find(users_pool, 2, after, states=states, subscriptions=("audit_log",), **bounds)
        rows += page.rows
        if page.next is None:
            break
        after = page.next

    expected = [
        event for event, (state, ended) in events.items() if ended == 15 * MINUTE and state in (states or FINAL)
    ]
    assert [row["event_id"] for row in rows] == expected


def test_what_ended_is_looked_for_among_events_that_were_made_before(
    users_pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(looking, "WINDOW", 3)
    for index in range(20):
        write_recent(users_pool, index, "succeeded")
    old = write_recent(users_pool, 20, "succeeded", ago=2 * HOUR, ended=HOUR)
    early = write_recent(users_pool, 21, "succeeded", ago=HOUR - MINUTE / 2, ended=HOUR)

    page = find(users_pool, states=("succeeded",), finished_until=datetime.now(UTC) - HOUR + MINUTE / 4)

    assert [row["event_id"] for row in page.rows] == [early, old], "at the first look, and by the clock of an API too"


def test_groups_of_what_ended_are_all_though_much_is_retried(users_pool: Pool, monkeypatch: pytest.MonkeyPatch) -> None:
    for index in range(10):
        write_recent(users_pool, index, "retrying", "timeout")
    write_recent(users_pool, 10, "failed", "550 no", ago=2 * HOUR, ended=MINUTE)
    write_recent(users_pool, 11, "failed", "550 no", ago=HOUR, ended=HOUR)
    monkeypatch.setattr(searching, "GROUPED", 3)

    grouped = read(users_pool, groups(Filter(finished_since=datetime.now(UTC) - 10 * MINUTE)))

    assert [(each.group, each.count) for each in grouped.groups] == [("550 no", 1)]
    assert (grouped.total, grouped.since) == (Total(count=1, exact=True), None)


def test_an_event_is_found(users_pool: Pool, history: dict[str, UUID]) -> None:
    assert [row[2] for row in found(users_pool, event=history["failed"], subscriptions=("audit_log",))] == ["failed"]


@pytest.mark.parametrize(
    "fields", [{}, {"states": ("pending",)}, {"states": TROUBLED}, {"subscriptions": ("audit_log",)}]
)
@pytest.mark.parametrize("window", [1, 3, 100])
def test_pages_lead_through_everything_whatever_the_window(
    users_pool: Pool, history: dict[str, UUID], monkeypatch: pytest.MonkeyPatch, fields: dict[str, Any], window: int
) -> None:
    expected = found(users_pool, **fields)
    for name in ("WINDOW", "INDEX_WINDOW", "FEW_ROWS"):
        monkeypatch.setattr(looking, name, window)

    rows, after, pages = [], NEWEST, 0
    while True:
        page = find(users_pool, 2, after, **fields)
        rows += page.rows
        pages += 1
        assert len(page.rows) == 2 or page.next is None or page.searched_to is not None, "it says why it isn't full"
        if page.next is None:
            break
        after = page.next

    assert [(row["subject"], row["subscription"], row["state"]) for row in rows] == expected
    assert len(expected) > 2
    assert pages >= len(expected) / 2


def test_a_total_that_stopped_early_says_so(
    users_pool: Pool, history: dict[str, UUID], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(looking, "WINDOW", 2)

    assert find(users_pool, subject="users/5").total == Total(count=2, exact=True)
    assert find(users_pool).total == Total(count=3, exact=False)


def test_errors_are_grouped(users_pool: Pool) -> None:
    for index in range(3):
        write(users_pool, index, "failed", f"550 user{index}@example.com: no", ago=index * MINUTE, ended=index * MINUTE)
    write(users_pool, 3, "uncertain", "550 me@example.com: no")
    write(users_pool, 4, "retrying", "timeout after 10 s")
    write(users_pool, 5, "succeeded", None)
    write(users_pool, 6, "failed", None)

    grouped = read(users_pool, groups(Filter()))

    assert [(each.group, each.count, each.states) for each in grouped.groups] == [
        ("550 <address>: no", 4, {"failed": 3, "uncertain": 1}),
        ("", 1, {"failed": 1}),
        ("timeout after <number> s", 1, {"retrying": 1}),
    ]
    largest = grouped.groups[0]
    assert (largest.subscription, largest.example) == ("audit_log", "550 me@example.com: no")
    assert largest.first_seen
    assert largest.last_seen
    assert largest.last_seen - largest.first_seen > MINUTE
    assert (grouped.total, grouped.since) == (Total(count=6, exact=True), None)


def test_each_group_is_a_filter_that_finds_as_many(users_pool: Pool) -> None:
    errors = [
        "550 a@b.cd: no",
        "550 x@y.cd: no",
        "'a' % of _",
        "'b' % of _",
        "timeout after 1 s",
        "timeout of 1 s",
        None,
    ]
    for index, error in enumerate(errors):
        write(users_pool, index, "failed", error)

    for group in read(users_pool, groups(Filter())).groups:
        rows = find(users_pool, group=group.group, subscriptions=(group.subscription,)).rows
        assert len(rows) == group.count
        assert {group_of(row["last_error"]) for row in rows} == {group.group}


@pytest.mark.parametrize(("limit", "attribute"), [(2, "GROUPED"), (2, "MOST_TEXTS")])
def test_groups_that_aren_t_all_say_since_when(
    users_pool: Pool, monkeypatch: pytest.MonkeyPatch, limit: int, attribute: str
) -> None:
    for index in range(4):
        write(users_pool, index, "failed", f"error {'abcd'[index]}", ago=index * MINUTE)
    monkeypatch.setattr(searching, attribute, limit)

    grouped = read(users_pool, groups(Filter()))

    assert not grouped.total.exact
    assert grouped.since is not None
    within = [index for index in range(4) if NOW - index * MINUTE >= grouped.since]
    assert {f"error {'abcd'[index]}" for index in within} <= {each.group for each in grouped.groups}
    assert 2 <= len(within) < 4


PIECES = (
    *("550", "5.1.1", "a@b.cd", "'x y'", '"', "10.0.0.1:25", "12", "x12", "A1B2C3D4E5F6", "http://a/b", "host:25"),
    *(
        "019abc6f-7d1c-7c3e-9d0a-3f2b8c6d5e4f",
        "a.b.cd",
        "no",
        "é",
        "%",
        "_",
        "\\",
        " ",
        ": ",
        "<",
        ">",
        ".",
        "-",
        "(",
        "[",
    ),
)


@settings(max_examples=300, deadline=None)
@given(st.lists(st.sampled_from(PIECES), max_size=8).map("".join))
def test_postgresql_matches_an_error_with_its_group(matches: Callable[[str, str, str], bool], text: str) -> None:
    assert matches(text, *matching(group_of(text)))


@pytest.fixture(scope="module")
def matches(postgres: Any) -> Any:
    import psycopg

    with psycopg.connect(postgres.url(), autocommit=True) as connection:

        def match(text: str, like: str, regex: str) -> bool:
            row = connection.execute("SELECT %s LIKE %s, %s ~ %s", (text, like, text, regex)).fetchone()
            return row == (True, True)

        yield match
