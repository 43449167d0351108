"""The page of uncertain effects over HTTP: what it says, and what a person decides there."""

import re
from html import unescape
from uuid import uuid4

import pytest
from tests.console.scene import afternoon, move
from tests.console.texts import send, show, text_of
from tests.integration.live_api import LiveApi


def test_what_is_uncertain_is_shown_with_its_evidence_and_can_be_sent_again(api: LiveApi) -> None:
    _, event = afternoon(api)["noor"]

    page = show(api, "/uncertain")

    assert "1 waits for a decision" in page
    assert "no answer within 10 s after the content was sent" in page
    send(api, f"/deliveries/{event}/welcome_email/retry", next="/console/uncertain")
    assert "Nothing waits for your decision" in show(api, "/uncertain?said=retry")


def test_what_was_sent_is_confirmed_and_says_by_whom(api: LiveApi) -> None:
    user, event = afternoon(api)["noor"]

    answer = send(api, f"/deliveries/{event}/welcome_email/confirm", next="/console/uncertain")

    assert (answer.status_code, answer.headers["location"]) == (303, "/console/uncertain?said=confirm")
    page = show(api, "/uncertain?said=confirm")
    assert "The effect is confirmed" in page
    assert "Nothing waits for your decision" in page
    for path in (f"/events/{event}", f"/users/{user}", f"/deliveries?event={event}"):
        assert "confirmed by console" in show(api, path), path
    assert "The provider has reported nothing." in show(api, f"/events/{event}")
    again = send(api, f"/deliveries/{event}/welcome_email/confirm")
    assert again.status_code == 409
    assert "The delivery is succeeded. Only one that is uncertain can be confirmed." in text_of(again.text)
    assert send(api, f"/deliveries/{uuid4()}/welcome_email/confirm").status_code == 404


def test_all_that_is_uncertain_is_counted_before_it_is_confirmed(api: LiveApi) -> None:
    afternoon(api)
    page = show(api, "/bulk?action=confirm&state=uncertain")
    assert "none of them is caused again" in page
    assert "Confirm 1" in page


def test_what_is_uncertain_goes_on_on_a_second_page(api: LiveApi, monkeypatch: pytest.MonkeyPatch) -> None:
    people = afternoon(api)
    move(api, people["maya"][1], "uncertain", "MailUncertain: no answer")
    monkeypatch.setattr("users_api.console.uncertain.PAGE", 1)

    first = api.http.get("/console/uncertain").text
    assert "2 wait for a decision" in text_of(first)
    [older] = re.findall(r'href="/console(/uncertain\?cursor=[^"]+)" rel="next"', first)
    page = show(api, unescape(older))
    assert "maya@example.com" in page
    assert "noor@example.com" not in page
