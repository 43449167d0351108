"""The pages about deliveries over HTTP: what they say, what they refuse, and that nothing on them is taken for HTML."""

import re
from html import unescape
from uuid import uuid4

import httpx
import pytest
from tests.console.scene import afternoon, move, register, tried
from tests.console.texts import send, show, text_of
from tests.integration.live_api import LiveApi

HOSTILE = "<script>alert(1)</script>\"'><img src=x onerror=alert(2)>{{ 77777 * 77777 }}&amp;"


def test_each_field_of_the_search_finds(api: LiveApi) -> None:
    people = afternoon(api)
    noor, event = people["noor"]
    for query in (
        "email=NOOR@example.com&subscription=welcome_email",
        f"user={noor}&subscription=welcome_email",
        f"event={event}&subscription=welcome_email",
        "error=10+S+AFTER",
        "state=uncertain&since=1h",
        "state=uncertain&state=running&error=no+answer",
    ):
        page = show(api, f"/deliveries?{query}")
        assert "1 delivery " in page, query
        assert "noor@example.com" in page, query
    assert "16 deliveries" in show(api, "/deliveries")
    assert "No delivery matches" in show(api, "/deliveries?until=2020-01-01")
    assert "No delivery matches" in show(api, "/deliveries?email=nobody@example.com")
    assert "There are no deliveries yet" in empty(api)


def test_a_search_says_which_time_is_meant(api: LiveApi) -> None:
    afternoon(api)
    api.execute("UPDATE deliveries SET finished_at = now() - interval '30 minutes' WHERE finished_at IS NOT NULL")
    newest = "SELECT max(event_id::text)::uuid FROM deliveries WHERE state = 'failed'"
    api.execute(f"UPDATE deliveries SET finished_at = now() WHERE event_id = ({newest}) AND state = 'failed'")

    for path, label in (("/deliveries", "Delivery ended in"), ("/failures", "Failed in")):
        page = api.http.get(f"/console{path}?state=failed").text
        [line] = [each for each in page.splitlines() if label in each]
        links = re.findall(r'href="/console([^"]+)">(the last 10 minutes|the last hour)', line)
        recent, hour = (show(api, unescape(link)) for link, _ in links)
        assert f"{label} the last 10 minutes" in recent
        assert "ended since 10m" in recent
        assert "Remove ended since" in recent
        assert ("1 delivery" in recent, "2 deliveries" in hour) == (True, True), path
    words = show(api, "/bulk?action=retry&finished_since=10m&until=1m")
    assert re.search(r"ended since 20[0-9-]+ [0-9:]+ UTC", words)
    assert re.search(r"event made before 20[0-9-]+ [0-9:]+ UTC", words)


def empty(api: LiveApi) -> str:
    api.forget_everything()
    return show(api, "/deliveries")


@pytest.mark.parametrize("path", ["/deliveries", "/failures", "/bulk?action=retry"])
@pytest.mark.parametrize(
    ("query", "says"),
    [
        ("stat=failed", "stat : there is no such filter"),
        ("state=lost", "state : Input should be"),
        ("since=soon", "since : not a time"),
        ("email=maya", "email : not a valid email address"),
        ("event=7", "event : "),
    ],
)
def test_a_wrong_filter_is_refused_and_shows_nothing(api: LiveApi, path: str, query: str, says: str) -> None:
    register(api, "maya")
    page = show(api, f"{path}{'&' if '?' in path else '?'}{query}", 422)
    assert says in page
    assert "maya@example.com" not in page


@pytest.mark.parametrize("path", ["/deliveries?cursor=nonsense", "/uncertain?cursor=!", "/operations?cursor=x"])
def test_a_cursor_of_elsewhere_is_refused(api: LiveApi, path: str) -> None:
    assert "cursor" in show(api, path, 422)


@pytest.mark.parametrize(
    ("path", "status", "says"),
    [
        ("/events/3b522671-10aa-4c02-94f1-7ef5dd7d9426", 404, "There is no event"),
        ("/events/7", 422, "event_id"),
        ("/users/4711", 404, "There is no user 4711"),
        ("/users/99999999999999999999", 422, "user_id"),
        ("/operations/4711", 404, "There is no operation 4711"),
        ("/bulk", 422, "action: one of retry, cancel, replay"),
        ("/bulk?action=delete", 422, "action: one of"),
    ],
)
def test_what_there_is_not_is_said_on_a_page(api: LiveApi, path: str, status: int, says: str) -> None:
    assert says in show(api, path, status)


def test_hostile_texts_are_only_texts(api: LiveApi) -> None:
    user, event = register(api, "mallory", HOSTILE, correlation=HOSTILE)
    move(api, event, "failed", HOSTILE, reference=HOSTILE)
    tried(api, event, 1, ("retry", HOSTILE), (0.01, 0.02, 0.03))
    move(api, event, "uncertain", HOSTILE, subscription="audit_log", reference=HOSTILE)
    confirmed = "INSERT INTO deliveries (event_id, subscription, state, confirmed_by) VALUES (%s, 'x', 'succeeded', %s)"
    api.execute(confirmed, event, HOSTILE)
    operation = {"action": "cancel", "filter": {"error": HOSTILE, "state": ["retrying"]}, "dry_run": False, "by": "<b>"}
    assert api.http.post("/deliveries/bulk", json=operation).status_code == 202
    quoted = httpx.QueryParams({"error": HOSTILE})

    for path in (
        f"/deliveries?{quoted}",
        f"/deliveries?{httpx.QueryParams({'stat': HOSTILE, 'since': HOSTILE})}",
        f"/failures?{quoted}",
        f"/bulk?action=retry&{quoted}",
        f"/events/{event}",
        f"/events/{event}?zoom={HOSTILE}&said={HOSTILE}",
        f"/users/{user}",
        "/uncertain",
        "/operations",
        "/operations/1",
    ):
        answer = api.http.get(f"/console{path}")
        assert "<script>alert" not in answer.text, path
        assert "<img" not in answer.text, path
        assert "<b>" not in answer.text, path
        assert re.search(r"\bstyle=|\son\w+=\"", answer.text) is None, path
        assert "6049261729" not in answer.text, path
    assert HOSTILE.split("{", maxsplit=1)[0] in show(api, f"/deliveries?{quoted}")


def test_one_event_says_what_is_known_and_what_isn_t(api: LiveApi) -> None:
    people = afternoon(api)

    maya = show(api, f"/events/{people['maya'][1]}")
    assert "250 2.0.0 Ok: queued as 4FzK1x2Pz9" in maya
    assert "The auditor has reported its row as written" in maya
    assert "correlation id" in maya
    noor = show(api, f"/users/{people['noor'][0]}")
    assert "3 (1 crashed)" in noor
    assert re.search(r"welcome_email 1 [\d:. ]+ 10 s crashed found [\d:.]+ the worker process died", noor)
    assert re.search(r"welcome_email 2 [\d:. ]+ 10 s uncertain receipt applied [\d:.]+ MailUncertain: no", noor)
    assert "earlier attempts and the waits between them" not in noor
    zoe = show(api, f"/events/{people['zoe'][1]}")
    assert "earlier attempts and the waits between them" in zoe, "two that are in no history"
    assert "the first minute" in noor
    part = show(api, f"/events/{people['sven'][1]}?zoom=second", part=True)
    assert part.startswith("Request "), "htmx is given what it replaces"
    assert "next attempt in" in part


def test_a_retry_leads_back_and_says_so(api: LiveApi) -> None:
    _, event = afternoon(api)["ada"]

    answer = send(api, f"/deliveries/{event}/welcome_email/retry", next="/console/deliveries?state=failed&said=cancel")

    assert (answer.status_code, answer.headers["location"]) == (303, "/console/deliveries?state=failed&said=retry")
    assert "The delivery is due again." in show(api, "/deliveries?state=failed&said=retry")
    again = send(api, f"/deliveries/{event}/welcome_email/retry")
    assert again.status_code == 409
    assert "The delivery is pending" in text_of(again.text)
    cancelled = send(api, f"/deliveries/{event}/welcome_email/cancel")
    assert cancelled.headers["location"] == f"/console/events/{event}?said=cancel"
    assert send(api, f"/deliveries/{uuid4()}/welcome_email/cancel").status_code == 404


@pytest.mark.parametrize(
    "target", ["https://evil.example/", "//evil.example", "/console\\evil", "/users", "/console\n/x"]
)
def test_no_form_leads_elsewhere(api: LiveApi, target: str) -> None:
    _, event = afternoon(api)["ada"]
    answer = send(api, f"/deliveries/{event}/welcome_email/retry", next=target)
    assert answer.headers["location"] == f"/console/events/{event}?said=retry"


@pytest.mark.parametrize(
    "path",
    [
        "/bulk",
        "/operations/1/cancel",
        "/deliveries/{event}/welcome_email/retry",
        "/deliveries/{event}/welcome_email/confirm",
    ],
)
def test_a_form_of_another_site_changes_nothing(api: LiveApi, path: str) -> None:
    _, event = afternoon(api)["ada"]
    answer = api.http.post(
        f"/console{path.format(event=event)}",
        data={"action": "retry", "state": "failed"},
        headers={"Sec-Fetch-Site": "cross-site"},
    )
    assert answer.status_code == 403
    assert api.rows("SELECT FROM operations") == []


def test_a_confirmation_means_what_was_counted(api: LiveApi) -> None:
    afternoon(api)
    page = api.http.get("/console/bulk?action=retry&since=1h&finished_since=1h&subscription=welcome_email").text
    fields = dict(re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)">', page.partition("<main")[2]))

    for name in ("since", "finished_since"):
        assert fields[name].startswith("20"), "the time is written out"
    assert fields["state"] == "failed"
    answer = send(
        api, "/bulk", **{name: fields[name] for name in ("action", "since", "finished_since", "subscription", "state")}
    )

    assert answer.headers["location"] == "/console/operations/1"
    [operation] = api.rows("SELECT action, eligible, requested_by FROM operations")
    assert operation == {"action": "retry", "eligible": 2, "requested_by": "console"}
    assert "0 of 2" in show(api, "/operations")


@pytest.mark.parametrize(
    ("query", "says"),
    [
        ("action=retry&state=succeeded", "Only deliveries that are failed, uncertain or cancelled can be retried."),
        ("action=replay&state=failed", "A replay needs one subscription, and since when the events were made."),
        ("action=confirm&state=failed", "Only deliveries that are uncertain can be confirmed."),
        ("action=cancel&email=nobody@example.com", "There is no user with this address."),
        ("action=cancel&state=retrying&error=nothing", "Nothing of that can be moved now."),
        ("action=replay&subscription=audit_log&since=1h", "Nothing of that can be moved now."),
    ],
)
def test_what_can_t_be_done_is_said_before(api: LiveApi, query: str, says: str) -> None:
    afternoon(api)
    page = show(api, f"/bulk?{query}")
    assert says in page
    assert not re.search(r"(Retry|Cancel|Replay|Confirm) \d", page), "there is nothing to confirm"
