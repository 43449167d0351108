"""GET /live: what changes is sent to each viewer that wants it, by one poller, and nothing is read without a viewer."""

import asyncio
import threading
import time
from contextlib import ExitStack, suppress

import httpx
import pytest
from tests.patience import PATIENCE, until

from users_api.app import create_app
from users_api.live import hub, poller, viewer

from .api_process import NOWHERE
from .live_api import LiveApi, is_problem, running
from .streams import Sent, Stream, watching


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(poller, "POLL_SECONDS", 0.02)
    monkeypatch.setattr(poller, "STATUS_SECONDS", 0.02)
    monkeypatch.setattr(poller, "AWAY_SECONDS", 0.05)


def is_about_audit(sent: Sent) -> bool:
    return sent.kind == "delivery" and sent.data["subscription"] == "audit_log"


def move(api: LiveApi, state: str, subscription: str = "audit_log") -> None:
    """Move every delivery of a subscription, as a relay would."""
    api.execute(
        "UPDATE deliveries SET state = %s, due_at = NULL,"
        " lease_until = CASE WHEN %s IN ('queued', 'running') THEN now() END,"
        " finished_at = CASE WHEN %s = 'succeeded' THEN now() END WHERE subscription = %s",
        state,
        state,
        state,
        subscription,
    )


def test_a_registration_is_seen_from_pending_to_succeeded(api: LiveApi) -> None:
    with watching(api.http) as stream:
        stream.until(lambda sent: sent.kind == "status")
        user = api.register().json()["id"]

        pending = stream.delivery("pending")
        assert pending.data["subject"] == f"users/{user}"
        for state in ("queued", "running", "succeeded"):
            move(api, state)
            assert stream.delivery(state).data["event_id"] == pending.data["event_id"]


def test_a_delivery_is_sent_as_it_is_shown(api: LiveApi) -> None:
    with watching(api.http) as stream:
        stream.until(lambda sent: sent.kind == "status")
        user = api.register().json()["id"]
        sent = stream.delivery("pending").data

    shown = api.http.get(f"/users/{user}/deliveries").json()["deliveries"]
    told = {name: value for name, value in sent.items() if name != "subject"}
    assert [told] == [{name: each[name] for name in told} for each in shown if each["subscription"] == "audit_log"]


def test_the_counts_come_first_and_when_they_change(api: LiveApi) -> None:
    with watching(api.http) as stream:
        first = stream.until(lambda sent: sent.kind == "status")
        assert first.data["audit_log"]["pending"] == {"count": 0, "exact": True}
        api.register()
        second = stream.until(lambda sent: sent.kind == "status")
        assert second.data["audit_log"]["pending"] == {"count": 1, "exact": True}


def test_what_was_there_before_is_no_change(api: LiveApi) -> None:
    api.register()
    with watching(api.http) as stream:
        stream.until(lambda sent: sent.kind == "status")
        api.register(email="second@example.com")
        stream.until(lambda sent: sent.kind == "delivery")
        assert {sent.data["subject"] for sent in stream.received if sent.kind == "delivery"} == {"users/2"}


def test_an_old_delivery_that_ends_is_seen_by_its_key(api: LiveApi) -> None:
    """A hundred newer events are over; its own only waits, and ends between two looks."""
    api.register()
    api.execute(
        "INSERT INTO events (id, type, subject, envelope, available_at, recorded_at)"
        " SELECT gen_random_uuid(), 'user_registered', 'users/9', '{}', now(), now() + interval '1 s'"
        " FROM generate_series(1, 150)"
    )
    with watching(api.http) as stream:
        stream.until(lambda sent: sent.kind == "status")
        api.execute("UPDATE deliveries SET state = 'succeeded', due_at = NULL, finished_at = now()")
        assert stream.delivery("succeeded").data["subject"] == "users/1"


def test_a_transaction_that_commits_late_is_not_missed(api: LiveApi) -> None:
    with watching(api.http) as stream:
        stream.until(lambda sent: sent.kind == "status")
        with api.database.transaction():
            api.execute("SELECT pg_current_xact_id()")  # its number is older than that of what follows
            with httpx.Client(base_url=api.http.base_url, timeout=PATIENCE) as other:
                other.post("/users", json={"email": "other@example.com", "full_name": "Other"})
            stream.delivery("pending")
            api.execute("UPDATE deliveries SET last_error = 'late' WHERE subscription = 'audit_log'")
        assert stream.until(lambda sent: sent.kind == "delivery" and sent.data["last_error"] == "late")


@pytest.mark.parametrize("by", ["user", "event"])
def test_a_filter_begins_with_how_it_is_and_shows_nothing_else(api: LiveApi, by: str) -> None:
    other, watched = (api.register(email=f"{name}@example.com").json()["id"] for name in ("other", "watched"))
    assert other < watched, "so its changes come first"
    [event] = {each["event_id"] for each in api.http.get(f"/users/{watched}/deliveries").json()["deliveries"]}
    query = {"user": f"?user={watched}", "event": f"?event={event}"}[by]

    with watching(api.http) as everything, watching(api.http, query) as stream:
        everything.until(lambda sent: sent.kind == "status")
        assert stream.delivery("pending").data["subject"] == f"users/{watched}"
        move(api, "succeeded")
        stream.delivery("succeeded")

    assert {sent.data["subject"] for sent in stream.received if sent.data} == {f"users/{watched}"}
    assert {sent.kind for sent in stream.received} == {"", "delivery"}


def test_a_user_may_be_watched_before_it_exists(api: LiveApi) -> None:
    with watching(api.http, "?user=1") as stream:
        api.register()
        assert stream.delivery("pending").data["subject"] == "users/1"


def test_five_viewers_are_one_poller_and_none_is_none(api: LiveApi) -> None:
    app = create_app(api.database.info.dsn)
    with running(app) as http:
        with ExitStack() as stack:
            streams = [stack.enter_context(watching(http)) for _ in range(5)]
            for stream in streams:
                stream.until(lambda sent: sent.kind == "status")
            api.register()
            assert len({stream.delivery("pending").id for stream in streams}) == 1, "they see the same message"
            poller = app.state.live._running

        until(lambda: app.state.live._running is None)
        until(poller.done)


def test_a_viewer_that_comes_back_is_sent_what_it_missed(api: LiveApi) -> None:
    with watching(api.http) as staying:
        with watching(api.http) as leaving:
            leaving.until(lambda sent: sent.kind == "status")
            api.register()
            last = leaving.delivery("pending")
        move(api, "queued")
        staying.delivery("queued")
        move(api, "running")
        staying.delivery("running")
        with watching(api.http, last_id=last.id) as again:
            again.delivery("running")
            states = [sent.data["state"] for sent in again.received if is_about_audit(sent)]
            assert states == ["queued", "running"]


@pytest.mark.parametrize("last_id", ["nonsense", "0badcafe-3", "-", "1-99999999999999999999"])
def test_a_viewer_that_cannot_be_sent_what_it_missed_is_told_to_read_anew(api: LiveApi, last_id: str) -> None:
    with watching(api.http, last_id=last_id) as stream:
        assert stream.until(lambda sent: sent.kind != "").kind == "reload"


def test_after_the_last_viewer_has_left_nobody_knows_what_was_missed(api: LiveApi) -> None:
    app = create_app(api.database.info.dsn)
    with running(app) as http:
        with watching(http) as stream:
            last = stream.until(lambda sent: sent.kind == "status")
        until(lambda: app.state.live._poller is None)

        with watching(http, last_id=last.id) as again:
            assert again.until(lambda sent: sent.kind != "").kind == "reload"


def test_more_changes_than_are_shown_are_admitted(api: LiveApi) -> None:
    with watching(api.http) as stream:
        stream.until(lambda sent: sent.kind == "status")
        api.execute(
            "WITH event AS (INSERT INTO events (id, type, subject, envelope, available_at)"
            " SELECT gen_random_uuid(), 'user_registered', 'users/9', '{}', now() FROM generate_series(1, 500)"
            " RETURNING id)"
            " INSERT INTO deliveries (event_id, subscription, due_at) SELECT id, 'audit_log', now() FROM event"
        )
        stream.until(lambda sent: sent.kind == "missed")


def test_what_waits_for_a_viewer_that_reads_slowly_is_bounded_and_dropping_it_is_admitted() -> None:
    async def read_late(number: int) -> list[str | None]:
        slow = viewer.Viewer(viewer.Filter())
        for index in range(number):
            slow.send(viewer.Message(str(index), "delivery", "{}"))
        stream = slow.stream()
        read = [(await anext(stream)).event for _ in range((number - 1) % viewer.WAITING + 1)]
        slow.end()
        assert [sent async for sent in stream] == []
        return read

    assert asyncio.run(read_late(viewer.WAITING)) == ["delivery"] * viewer.WAITING
    assert asyncio.run(read_late(viewer.WAITING + 3)) == ["missed", "delivery", "delivery"]


def test_postgresql_may_go_away_and_come_back() -> None:
    with running(create_app(NOWHERE)) as http, watching(http) as stream:
        assert stream.until(lambda sent: sent.kind != "").kind == "unavailable"
        assert http.get("/livez").status_code == 200


@pytest.mark.parametrize("query", ["?user=0", "?user=x", "?event=x", "?other=1"])
def test_a_wrong_filter_is_refused(api: LiveApi, query: str) -> None:
    assert is_problem(api.http.get(f"/live{query}"), 422)


def test_too_many_viewers_are_refused(api: LiveApi, monkeypatch: pytest.MonkeyPatch) -> None:
    with running(create_app(api.database.info.dsn)) as http:
        monkeypatch.setattr(hub.Live, "is_full", True)
        answer = http.get("/live")

    assert is_problem(answer, 503)
    assert answer.headers["retry-after"]


def test_a_head_request_ends(api: LiveApi) -> None:
    with httpx.Client(base_url=api.http.base_url, timeout=PATIENCE) as http:
        answer = http.head("/live")
        assert http.get("/livez").is_success, "the connection is free again"

    assert (answer.status_code, answer.headers["content-type"]) == (200, "text/event-stream; charset=utf-8")


def test_the_server_stops_at_once_although_a_stream_is_open(api: LiveApi) -> None:
    ended: list[float] = []

    def read_on(stream: Stream) -> None:
        with suppress(EOFError):
            while True:
                stream.next()
        ended.append(time.monotonic())

    context = running(create_app(api.database.info.dsn))
    http = context.__enter__()
    with httpx.Client(base_url=http.base_url, timeout=PATIENCE) as client, watching(client) as stream:
        stream.until(lambda sent: sent.kind == "status")
        reader = threading.Thread(target=read_on, args=(stream,))
        reader.start()
        began = time.monotonic()
        context.__exit__(None, None, None)
        stopped = time.monotonic()
        reader.join()

    assert max(stopped, ended[0]) - began < 8, "uvicorn would wait for ten seconds"
