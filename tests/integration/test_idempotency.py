"""Idempotency-Key: a client that didn't hear the answer asks again, and nothing happens twice."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import httpx
import psycopg
import pytest
from tests.patience import until

from .live_api import MAYA, LiveApi, is_problem


def heard(answer: httpx.Response) -> tuple[int, str, object]:
    return answer.status_code, answer.headers["content-type"], answer.json()


def test_the_same_request_gets_the_same_answer_and_happens_once(api: LiveApi) -> None:
    first, second = api.register_once("key"), api.register_once("key")

    assert first.status_code == 201
    assert heard(second) == heard(first)
    assert second.headers["location"] == first.headers["location"]
    assert api.counts() == (1, 1, 2)


def test_a_request_that_means_the_same_is_the_same(api: LiveApi) -> None:
    """White space, field order, fields that are ignored: what is registered is what counts."""
    api.register_once("key")

    written_otherwise = b'{"ignored": 1,  "full_name": " Maya Chen ", "email": "maya@EXAMPLE.com"}'
    headers = {"Idempotency-Key": "key", "Content-Type": "application/json"}
    assert api.http.post("/users", content=written_otherwise, headers=headers).status_code == 201
    assert api.counts() == (1, 1, 2)


@pytest.mark.parametrize("other", [{"email": "other@example.com"}, {"full_name": "Maya Chan"}])
def test_a_key_cannot_be_used_for_another_request(api: LiveApi, other: dict[str, str]) -> None:
    api.register_once("key")

    assert is_problem(api.register_once("key", **other), 422)
    assert api.counts() == (1, 1, 2)


def test_other_keys_are_other_requests(api: LiveApi) -> None:
    answers = [api.register_once(key, email=f"{key}@example.com").status_code for key in ("key", "KEY", "key2")]

    assert answers == [201, 409, 201], "the address, not the key, disregards case"
    assert api.counts() == (2, 2, 4)


def test_that_an_address_was_taken_is_repeated_even_when_it_no_longer_is(api: LiveApi) -> None:
    api.register()
    first = api.register_once("key")
    api.execute("DELETE FROM users")

    assert is_problem(first, 409)
    assert heard(api.register_once("key")) == heard(first)
    assert api.register_once("another").status_code == 201


def test_bad_input_does_not_use_up_the_key(api: LiveApi) -> None:
    assert is_problem(api.register_once("key", email="maya"), 422)
    assert api.register_once("key").status_code == 201


def test_an_attempt_that_was_rolled_back_leaves_its_key_free(api: LiveApi) -> None:
    with api.failing("events"):
        assert is_problem(api.register_once("key"), 500)

    assert api.rows("SELECT * FROM idempotency_keys") == []
    assert api.register_once("key").status_code == 201
    assert api.counts() == (1, 1, 2)


def test_an_answer_that_cannot_be_stored_is_not_given(api: LiveApi) -> None:
    with api.failing("idempotency_keys", "AFTER INSERT"):
        assert is_problem(api.register_once("key"), 500)

    assert api.counts() == (0, 0, 0)


@pytest.mark.parametrize("key", [b"", b"k" * 256, b"two words", "é".encode(), b"\xff"])
def test_a_key_is_1_to_255_visible_ascii_characters(api: LiveApi, key: bytes) -> None:
    assert is_problem(api.http.post("/users", json=MAYA, headers={b"Idempotency-Key": key}), 422)
    assert api.counts() == (0, 0, 0)


@pytest.mark.parametrize("key", ["k", "k" * 255, '"8e03978e-40d5-43e8-bc93-6894a57f9324"', "!~'\\"])
def test_any_visible_ascii_is_a_key(api: LiveApi, key: str) -> None:
    assert [api.register_once(key).status_code for _ in range(2)] == [201, 201]


# At the same time


@contextmanager
def users_locked(api: LiveApi) -> Iterator[None]:
    """Let nobody write users until the block ends."""
    with psycopg.connect(api.database.info.dsn) as connection:
        connection.execute("LOCK TABLE users IN EXCLUSIVE MODE")
        yield


def waiting(api: LiveApi) -> int:
    return len(api.rows("SELECT FROM pg_locks WHERE NOT granted AND relation = 'users'::regclass"))


def test_while_the_first_request_is_running_the_second_is_told_so(api: LiveApi) -> None:
    with ThreadPoolExecutor() as people:
        with users_locked(api):
            first = people.submit(api.register_once, "key")
            until(lambda: waiting(api) == 1)
            second = api.register_once("key")
            assert waiting(api) == 1, "the first is still running, or this proves nothing"
        assert is_problem(second, 409)
        assert first.result().status_code == 201
        assert heard(api.register_once("key")) == heard(first.result())
    assert api.counts() == (1, 1, 2)


def test_of_many_at_once_with_one_key_one_registers_and_the_others_hear_of_it(api: LiveApi) -> None:
    with ThreadPoolExecutor(10) as people:
        answers = list(people.map(lambda _: api.register_once("key"), range(10)))

    assert {answer.status_code for answer in answers} <= {201, 409}
    registered = [heard(answer) for answer in answers if answer.status_code == 201]
    assert registered, "one of them must win"
    assert all(each == registered[0] for each in registered)
    assert all(is_problem(answer, 409) for answer in answers if answer.status_code == 409)
    assert api.counts() == (1, 1, 2)


def test_an_attempt_that_took_too_long_is_undone_and_its_key_is_free_again(api: LiveApi) -> None:
    with users_locked(api):
        answer = api.register_once("key")

        assert is_problem(answer, 503)
        assert answer.headers["retry-after"] == "2"
        until(lambda: waiting(api) == 0)
        assert api.counts() == (0, 0, 0)
    assert api.register_once("key").status_code == 201
    assert api.counts() == (1, 1, 2)
