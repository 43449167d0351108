"""Errors that differ in details alone are one group, and a group finds exactly its errors."""

import re
import time

import pytest

from messaging.publishing.error_groups import group_of, matching
from messaging.publishing.filtering import Filter
from messaging.publishing.looking import INDEX_WINDOW, look
from messaging.wire.receipt import MAX_ERROR
from users_api.filter_fields import MAX_GROUP


@pytest.mark.parametrize(
    ("error", "group"),
    [
        ("550 5.1.1 <maya@example.com>: no such user", "550 5.1.1 <<address>>: no such user"),
        ("450 4.7.1 try later", "450 4.7.1 try later"),
        (
            "TimeoutError: no answer from 10.0.0.7:25 within 10.5 s",
            "TimeoutError: no answer from <host> within <number> s",
        ),
        ("mx1.mail.example.com can't be reached, isn't up", "<host> can't be reached, isn't up"),
        ("localhost:5432 refused", "<host> refused"),
        ("OSError: [Errno 111] ('127.0.0.1', 2525)", "OSError: [Errno <number>] (<quoted>, <number>)"),
        ('no column "email"', "no column <quoted>"),
        ("event 019abc6f-7d1c-7c3e-9d0a-3f2b8c6d5e4f", "event <uuid>"),
        ("503 from https://hook.example.com/a?b=1", "503 from <url>"),
        ("queued as 3F2B8C6D5E4F99AA", "queued as <id>"),
        ("psycopg.errors.UniqueViolation: no", "psycopg.errors.UniqueViolation: no"),
        ("line 1234, column 7", "line <number>, column <number>"),
        ("the worker process died during this attempt", "the worker process died during this attempt"),
        ("expected <number>, not <host> or <id>", "expected <number>, not <host> or <id>"),
        ("", ""),
        (None, ""),
    ],
)
def test_details_are_left_aside(error: str | None, group: str) -> None:
    assert group_of(error) == group
    assert re.search(matching(group).regex, error or "")


def test_status_codes_make_a_difference() -> None:
    assert group_of("550 refused") != group_of("450 refused")
    assert not re.search(matching(group_of("550 refused")).regex, "450 refused")


@pytest.mark.parametrize("other", ["timeout after 10 s of waiting", "a timeout after 10 s", "timeout after x s"])
def test_a_group_finds_no_other_error(other: str) -> None:
    assert not re.search(matching(group_of("timeout after 7 s")).regex, other)


LONG = (500 * "a", 250 * "1,", 250 * "''", 125 * "a@b,", 125 * "a:10,", 250 * "1 ", 166 * "''1")


@pytest.mark.parametrize("text", [text[:MAX_ERROR] for text in LONG])
def test_every_group_is_a_filter(text: str) -> None:
    assert len(group_of(text)) <= MAX_GROUP
    assert re.search(matching(group_of(text)).regex, text)


def test_fewer_deliveries_are_compared_with_a_longer_pattern() -> None:
    short, long = (look(Filter(group=group)) for group in ("550 <address>: no", 50 * "550 from <host>"))

    assert short.window == INDEX_WINDOW
    assert 100 < long.window < 1000


def test_a_group_without_details_needs_no_pattern() -> None:
    plain = look(Filter(group=500 * "a"))

    assert "regex" not in plain.wanted
    assert plain.window == INDEX_WINDOW


@pytest.mark.parametrize("text", [500 * "a", 250 * "a-", 250 * "a.", 166 * "a1-", 250 * "1.", 250 * "@a", 500 * "'"])
def test_no_error_takes_long(text: str) -> None:
    began = time.process_time()
    group_of(text)
    assert time.process_time() - began < 1
