"""The page of failures: groups of errors, the largest first."""

import re
from html import unescape

import pytest
from tests.console.scene import afternoon, move
from tests.console.texts import show
from tests.integration.live_api import LiveApi

from users_api.console import groups


def test_a_page_of_failures_shows_the_largest_groups_and_says_so(api: LiveApi, monkeypatch: pytest.MonkeyPatch) -> None:
    afternoon(api)
    assert "Only the" not in show(api, "/failures"), "there are three"
    monkeypatch.setattr(groups, "MOST_SHOWN", 1)

    page = show(api, "/failures")

    assert "4 deliveries in 3 groups" in page
    assert "Only the 1 largest groups are shown." in page
    assert "no such user" in page
    assert "connection refused" not in page


def test_a_group_is_a_link_to_what_is_in_it(api: LiveApi) -> None:
    afternoon(api)
    page = api.http.get("/console/failures?since=1h").text
    links = [unescape(link) for link in re.findall(r'href="/console(/deliveries\?[^"]+)">\s*Show', page)]

    assert len(links) == 3
    assert "2 deliveries" in show(api, links[0])
    assert "since=1h" in links[0]
    assert "No delivery that matches is failed, uncertain or retrying now" in show(api, "/failures?error=nothing")
    api.forget_everything()
    assert "Nothing has failed" in show(api, "/failures")


@pytest.mark.parametrize(("page", "found"), [("failures", "1 delivery in 1 group"), ("deliveries", "2 deliveries")])
def test_what_has_not_ended_is_not_denied(api: LiveApi, page: str, found: str) -> None:
    api.register()
    api.execute("UPDATE deliveries SET state = 'retrying', last_error = 'busy' WHERE subscription = 'welcome_email'")

    shown = show(api, f"/{page}?finished_since=10m&finished_until=1m&since=1h")

    assert "has not ended. Search it too" in shown
    html = api.http.get(f"/console/{page}?finished_since=10m&finished_until=1m&since=1h").text
    [link] = re.findall(r'href="/console([^"]*)">Search it too', html)
    assert found in show(api, unescape(link))
    assert "has not ended" not in show(api, f"/{page}?until=2020-01-01")


def test_what_failed_in_several_groups_is_retried_at_once(api: LiveApi) -> None:
    people = afternoon(api)
    assert "Retry all that failed" not in show(api, "/failures"), "one group has failed; the others are in other states"
    move(api, people["omar"][1], "failed", "MailRefused: 552 mailbox full")

    page = api.http.get("/console/failures?finished_since=3h").text
    [link] = re.findall(r'href="/console(/bulk\?[^"]+)">Retry all that failed', page)

    assert "state=failed" in link
    assert "3 deliveries can be moved now" in show(api, unescape(link)), "not the uncertain one, nor the retried one"
