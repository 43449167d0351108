"""The form that registers a user, and the page of schedules."""

import re

import pytest
from tests.integration.live_api import LiveApi

HOSTILE = "<b onmouseover=alert(1)>Maya</b>"


def send(api: LiveApi, **fields: str) -> tuple[int, str]:
    form = {"email": "maya@example.com", "full_name": "Maya Chen"} | fields
    answer = api.http.post("/console/register", data=form)
    return answer.status_code, answer.headers.get("location", answer.text)


def key_of(page: str) -> str:
    [key] = re.findall(r'name="key" value="(\w+)"', page)
    return str(key)


def test_a_user_is_registered_and_shown(api: LiveApi) -> None:
    status, location = send(api)
    page = api.http.get(location).text

    assert (status, location) == (303, "/console/register/1")
    assert "maya@example.com" in page
    assert "welcome_email" in page
    assert 'class="state pending"' in page
    assert 'sse-connect="/live?user=1"' in page


def test_a_form_that_is_sent_twice_registers_one(api: LiveApi) -> None:
    key = key_of(api.http.get("/console/register").text)

    assert send(api, key=key) == send(api, key=key)
    assert api.counts()[0] == 1


def test_faults_are_said_beside_the_fields(api: LiveApi) -> None:
    status, page = send(api, email="not an address", full_name="  ")

    assert status == 422
    assert 'aria-describedby="fault-email"' in page
    assert 'aria-describedby="fault-full_name"' in page
    assert 'value="not an address"' in page
    assert api.counts() == (0, 0, 0)


def test_a_taken_address_leads_to_its_user(api: LiveApi) -> None:
    send(api)
    status, page = send(api)

    assert status == 409
    assert "/console/search?q=maya%40example.com" in page
    assert api.http.get("/console/search?q=MAYA@example.com").headers["location"] == "/console/users/1"


def test_hostile_names_are_shown_as_text(api: LiveApi) -> None:
    _, location = send(api, full_name=HOSTILE)
    _, again = send(api, full_name=HOSTILE)

    for page in (api.http.get(location).text, again):
        assert "<b onmouseover" not in page
    assert "&lt;b onmouseover" in api.http.get(location).text


def test_a_user_who_does_not_exist(api: LiveApi) -> None:
    assert api.http.get("/console/register/77").status_code == 404
    assert api.http.get("/console/register/maya").status_code == 422


@pytest.mark.parametrize(
    ("text", "leads_to"),
    [
        ("7", "users/7"),
        ("users/7", "users/7"),
        ("0198b1d0-0000-7000-8000-000000000001", "events/0198b1d0-0000-7000-8000-000000000001"),
        ("nobody@example.com", "deliveries?email=nobody%40example.com"),
        ("Connection refused", "deliveries?error=Connection%20refused"),
        ("no@address@here", "deliveries?email=no%40address%40here"),
        ("", "deliveries"),
    ],
)
def test_the_search_box_leads_to_what_is_meant(api: LiveApi, text: str, leads_to: str) -> None:
    answer = api.http.get("/console/search", params={"q": text})

    assert answer.headers["location"] == f"/console/{leads_to}"


def test_a_large_form_is_refused(api: LiveApi) -> None:
    assert send(api, full_name="x" * 70_000)[0] == 413


def test_schedules_are_listed(api: LiveApi) -> None:
    page = api.http.get("/console/schedules").text

    assert "daily_report" in page
    assert "0 6 * * *" in page
    assert page.count("06:00:00 UTC</span>") == 3
    assert "Run now" not in page.partition("</p>")[2], "its effects are off"


def test_a_schedule_whose_effects_are_off_is_not_run(api: LiveApi) -> None:
    answer = api.http.post("/console/schedules/daily_report/run")

    assert answer.status_code == 409
    assert "REPORT_TO" in answer.text
    assert api.http.post("/console/schedules/nothing/run").status_code == 404
