"""Parts of pages are read once, however many look at them; whole pages are read anew."""

import asyncio

import httpx
import pytest
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.types import Receive, Scope, Send
from tests.console.scene import register
from tests.console.texts import show
from tests.integration.live_api import LiveApi
from tests.patience import PATIENCE

from users_api.console import sharing
from users_api.console.sharing import SharedParts

PART = {"HX-Request": "true"}


class Page:
    """An application that answers with how often it was asked, when it may."""

    def __init__(self) -> None:
        self.asked = 0
        self.may_answer = asyncio.Event()
        self.error: Exception | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.asked += 1
        answer = PlainTextResponse(f"{self.asked} {Request(scope).url.query}")
        await self.may_answer.wait()
        await answer(scope, receive, send)
        if self.error:
            raise self.error


def looking(page: Page) -> httpx.AsyncClient:
    transport = httpx.ASGITransport(SharedParts(page), raise_app_exceptions=page.error is not None)
    return httpx.AsyncClient(transport=transport, base_url="http://localhost", headers=PART)


async def until_asked(page: Page, times: int) -> None:
    async with asyncio.timeout(PATIENCE):
        while page.asked < times:
            await asyncio.sleep(0)


async def begun(*requests: asyncio.Task[httpx.Response]) -> None:
    """Let each request come to where it waits."""
    for _ in range(50 * len(requests)):
        await asyncio.sleep(0)


def test_those_who_look_at_the_same_time_share_a_reading(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sharing, "AGE_SECONDS", 60.0)

    async def look() -> list[str]:
        page = Page()
        async with looking(page) as viewer, asyncio.TaskGroup() as group:
            requests = [group.create_task(viewer.get(path)) for path in ("/a", "/a", "/a?zoom=1", "/b", "/a")]
            requests.append(group.create_task(viewer.get("/a", headers={"HX-Request": ""})))
            await until_asked(page, 3)
            page.may_answer.set()
        return [request.result().text.split()[0] for request in requests]

    assert asyncio.run(look()) == ["1", "1", "2", "3", "1", "1"]


def test_a_reading_that_is_too_old_is_not_shown_and_the_next_waits_for_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sharing, "AGE_SECONDS", -1.0)

    async def look() -> tuple[int, list[str]]:
        page = Page()
        async with looking(page) as viewer, asyncio.TaskGroup() as group:
            first = group.create_task(viewer.get("/a"))
            await until_asked(page, 1)
            second = group.create_task(viewer.get("/a"))
            await begun(first, second)
            at_once = page.asked
            page.may_answer.set()
        return at_once, [request.result().text.split()[0] for request in (first, second)]

    assert asyncio.run(look()) == (1, ["1", "2"])


def test_one_who_leaves_takes_no_answer_from_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sharing, "AGE_SECONDS", 60.0)

    async def look() -> str:
        page = Page()
        async with looking(page) as viewer:
            leaves, stays = (asyncio.create_task(viewer.get("/a")) for _ in range(2))
            await until_asked(page, 1)
            await begun(leaves, stays)
            leaves.cancel()
            await begun(leaves)
            page.may_answer.set()
            return (await stays).text

    assert asyncio.run(look()).split() == ["1"]


def test_a_crash_is_raised_for_each(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sharing, "AGE_SECONDS", 60.0)

    async def look() -> list[httpx.Response | BaseException]:
        page = Page()
        page.error = ZeroDivisionError("a fault")
        page.may_answer.set()
        async with looking(page) as viewer:
            return await asyncio.gather(*(viewer.get("/a") for _ in range(2)), return_exceptions=True)

    assert [type(answer) for answer in asyncio.run(look())] == [ZeroDivisionError] * 2


def test_what_was_read_is_not_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sharing, "AGE_SECONDS", -1.0)

    async def look() -> int:
        page = Page()
        page.may_answer.set()
        shared = SharedParts(page)
        transport = httpx.ASGITransport(shared)
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost", headers=PART) as viewer:
            for number in range(20):
                await viewer.get(f"/{number}")
        return len(shared._readings)

    assert asyncio.run(look()) == 1


CHANGING = ("/overview", "/events/{event}", "/users/{user}", "/register/{user}/effects", "/operations/1")
"""Parts that pages read again by themselves."""


@pytest.mark.parametrize("path", CHANGING)
def test_viewers_of_a_page_cost_one_reading_and_one_who_acts_sees_what_changed(
    api: LiveApi, monkeypatch: pytest.MonkeyPatch, path: str
) -> None:
    monkeypatch.setattr(sharing, "AGE_SECONDS", 60.0)
    user, event = register(api, "maya")
    request = {"action": "retry", "filter": {"state": ["failed"]}, "dry_run": False, "by": "ada"}
    assert api.http.post("/deliveries/bulk", json=request).status_code == 202
    path = path.format(user=user, event=event)
    whole = {"/overview": "", f"/register/{user}/effects": f"/register/{user}"}.get(path, path)
    before = show(api, path, part=True)

    api.execute("UPDATE deliveries SET state = 'uncertain', due_at = NULL, finished_at = now()")
    api.execute("UPDATE operations SET state = 'failed', finished_at = now(), detail = 'is uncertain'")

    assert [show(api, path, part=True) for _ in range(3)] == [before] * 3
    assert "is uncertain" not in before
    assert "uncertain" in show(api, whole).replace("0 uncertain", "")
    monkeypatch.setattr(sharing, "AGE_SECONDS", 0.0)
    assert show(api, path, part=True) != before


@pytest.mark.parametrize("path", CHANGING)
def test_a_part_does_not_depend_on_who_asks(api: LiveApi, path: str) -> None:
    user, event = register(api, "maya")
    request = {"action": "retry", "filter": {"state": ["failed"]}, "dry_run": False, "by": "ada"}
    assert api.http.post("/deliveries/bulk", json=request).status_code == 202

    answer = api.http.get(
        f"/console{path.format(user=user, event=event)}", headers=PART | {"Cookie": "herald_operator=zora"}
    )

    assert answer.status_code == 200
    assert "zora" not in answer.text
    assert "set-cookie" not in answer.headers
