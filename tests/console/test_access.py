"""Who may look at the console, and that no other site acts in it."""

import asyncio
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from tests.integration.live_api import LiveApi, live_api
from tests.patience import PATIENCE

from devstack.postgres import Postgres
from users_api.console import access
from users_api.console.access import COOKIE, Access, Gate
from users_api.console.rendering import OPERATOR
from users_api.console.security import HEADERS

TOKEN = "a token of an operator"
OUTSIDE = ("/console/../users", "/console/%2e%2e/users", "/console/x/..%2F../users")
PAGES = ("/console", "/console/register", "/console/nothing", "/console/assets/console.css", "/console/login")


@pytest.fixture(scope="module")
def guarded(postgres: Postgres) -> Iterator[LiveApi]:
    """users-api whose console needs a token."""
    with live_api(postgres, "console_guarded", console=True, token=TOKEN) as running:
        yield running


@pytest.fixture
def browsing(guarded: LiveApi) -> Iterator[httpx.Client]:
    """A client that keeps cookies, without any yet."""
    with httpx.Client(base_url=guarded.http.base_url, timeout=PATIENCE) as client:
        yield client


def log_in(client: httpx.Client, token: str = TOKEN, **more: str) -> httpx.Response:
    return client.post("/console/login", data={"token": token, **more})


def test_this_machine_needs_no_token(api: LiveApi) -> None:
    assert api.http.get("/console").status_code == 200


@pytest.mark.parametrize(
    "headers",
    [
        {"Host": "rebound.example"},
        {"Host": "localhost.rebound.example"},
        {"Host": "127.0.0.1.rebound.example:8000"},
        {"X-Forwarded-For": "127.0.0.1"},
        {"Forwarded": "for=127.0.0.1"},
        {"X-Real-IP": "127.0.0.1"},
        {"X-Forwarded-Proto": "https"},
        {"X-Forwarded-Server": "proxy"},
        {"CF-Connecting-IP": "127.0.0.1"},
        {"True-Client-IP": "127.0.0.1"},
        {"X-Client-IP": "127.0.0.1"},
        {"Host": "evil.example@localhost"},
        {"Host": "localhost/../evil.example"},
        {"Host": "["},
        {"Host": "[evil.example]"},
    ],
    ids=str,
)
def test_without_a_token_nothing_else_is_this_machine(api: LiveApi, headers: dict[str, str]) -> None:
    answer = api.http.get("/console", headers=headers)

    assert answer.status_code == 403
    assert "CONSOLE_TOKEN" in answer.text


@pytest.mark.parametrize(
    ("client", "status"),
    [
        ("127.0.0.1", 200),
        ("127.8.9.1", 200),
        ("::1", 200),
        ("::ffff:127.0.0.1", 200),
        ("192.0.2.7", 403),
        ("2001:db8::7", 403),
        ("::ffff:192.0.2.7", 403),
        ("", 403),
    ],
)
@pytest.mark.parametrize("host", ["localhost:8000", "127.0.0.1", "[::1]:8000"])
def test_without_a_token_other_addresses_are_refused(client: str, status: int, host: str) -> None:
    assert asyncio.run(asked(None, (client, 4711), ("host", host))) == status


def test_another_machine_needs_the_token() -> None:
    remote = ("192.0.2.7", 4711)

    assert asyncio.run(asked(TOKEN, remote, ("authorization", f"Bearer {TOKEN}"))) == 200
    assert asyncio.run(asked(TOKEN, remote, ("authorization", "Bearer wrong"))) == 303
    assert asyncio.run(asked(TOKEN, remote)) == 303


async def asked(token: str | None, client: tuple[str, int], *headers: tuple[str, str]) -> int:
    """Return what status a request from an address gets, from the gate or from what is behind it."""
    statuses: list[int] = []

    async def behind(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})

    async def send(message: Any) -> None:
        if message["type"] == "http.response.start":
            statuses.append(message["status"])

    raw = [(name.encode(), value.encode()) for name, value in headers]
    scope = {"type": "http", "method": "GET", "path": "/console", "query_string": b"", "headers": raw, "client": client}
    await Gate(behind, Access(token))(scope | {"scheme": "http"}, lambda: None, send)  # type: ignore[arg-type, return-value]
    return statuses[0]


def test_people_are_led_to_the_login_and_back(browsing: httpx.Client) -> None:
    sent_away = browsing.get("/console/deliveries?state=failed")
    login = browsing.get(sent_away.headers["location"])
    back = log_in(browsing, next="/console/deliveries?state=failed", name="ada")

    assert sent_away.status_code == 303
    assert "CONSOLE_TOKEN" in login.text
    assert 'value="/console/deliveries?state=failed"' in login.text
    assert (back.status_code, back.headers["location"]) == (303, "/console/deliveries?state=failed")
    assert browsing.get("/console").status_code == 200
    assert 'value="ada"' in browsing.get("/console").text


def test_the_cookie_is_for_this_site_alone_and_does_not_tell_the_token(browsing: httpx.Client) -> None:
    cookies = log_in(browsing).headers.get_list("set-cookie")

    [cookie] = [each for each in cookies if each.startswith(COOKIE)]
    assert {"HttpOnly", "SameSite=strict", "Path=/console"} <= set(cookie.split("; "))
    assert TOKEN not in cookie


def test_a_wrong_token_gives_no_cookie(browsing: httpx.Client) -> None:
    answer = log_in(browsing, "a token of somebody else")

    assert answer.status_code == 403
    assert "set-cookie" not in answer.headers
    assert "the token." in answer.text


def test_a_cookie_that_is_forged_or_old_counts_for_nothing(
    browsing: httpx.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    good = Access(TOKEN).cookie()
    until, _, signature = good.partition(".")
    monkeypatch.setattr(access, "LASTS_SECONDS", -1)
    old = Access(TOKEN).cookie()

    assert status_with(browsing, good) == 200
    for bad in (old, f"{int(until) + 1}.{signature}", f"{until}.", "", ".", "9" * 400, Access("another").cookie()):
        assert status_with(browsing, bad) == 303, bad


def status_with(client: httpx.Client, cookie: str) -> int:
    return client.get("/console", headers={"Cookie": f"{COOKIE}={cookie}"}).status_code


def test_a_program_sends_the_token_itself(browsing: httpx.Client) -> None:
    assert browsing.get("/console", headers={"Authorization": f"Bearer {TOKEN}"}).status_code == 200


def test_a_part_of_a_page_is_refused_without_a_redirect(browsing: httpx.Client) -> None:
    assert browsing.get("/console/overview", headers={"HX-Request": "true"}).status_code == 401


@pytest.mark.parametrize("name", ['"\\000x"', "x" * 101, "caf\u00e9", "a\u00a0b"], ids=ascii)
def test_a_name_in_a_forged_cookie_is_not_recorded(api: LiveApi, name: str) -> None:
    user = api.register().json()["id"]
    [event_id] = {row["event_id"] for row in api.http.get(f"/users/{user}/deliveries").json()["deliveries"]}

    cookie = f"{OPERATOR}={name}".encode("latin-1")
    api.http.post(f"/console/deliveries/{event_id}/audit_log/cancel", headers={b"Cookie": cookie}, data={"next": ""})

    assert [each["requested_by"] for each in api.http.get("/operations").json()["operations"]] == ["console"]


def test_after_logging_out_the_login_is_shown_again(browsing: httpx.Client) -> None:
    log_in(browsing)
    browsing.post("/console/logout")

    assert browsing.get("/console").status_code == 303


@pytest.mark.parametrize(
    "target", ["https://evil.example/", "//evil.example", "/\\evil.example", "/users", "console", *OUTSIDE]
)
def test_the_login_leads_nowhere_else(browsing: httpx.Client, target: str) -> None:
    assert log_in(browsing, next=target).headers["location"] == "/console"


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://["},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Sec-Fetch-Site": "none"},
    ],
    ids=str,
)
def test_a_form_of_another_site_changes_nothing(api: LiveApi, headers: dict[str, str]) -> None:
    form = {"email": "maya@example.com", "full_name": "Maya Chen"}

    answer = api.http.post("/console/register", data=form, headers=headers)

    assert answer.status_code == 403
    assert api.counts() == (0, 0, 0)


def test_a_form_of_the_console_is_taken(api: LiveApi) -> None:
    form = {"email": "maya@example.com", "full_name": "Maya Chen"}
    origin = str(api.http.base_url).rstrip("/")

    answer = api.http.post("/console/register", data=form, headers={"Origin": origin})

    assert answer.status_code == 303
    assert api.counts()[0] == 1


@pytest.mark.parametrize("page", PAGES)
def test_every_answer_has_the_headers(api: LiveApi, guarded: LiveApi, page: str) -> None:
    for answer in (api.http.get(page), guarded.http.get(page), api.http.get(page, headers={"Host": "evil.example"})):
        assert HEADERS.items() <= {name.title(): value for name, value in answer.headers.items()}.items()


def test_pages_are_not_stored_and_files_are_kept(api: LiveApi) -> None:
    page = api.http.get("/console")
    [script] = [part.split('"')[0] for part in page.text.split('src="') if part.startswith("/console/assets/htmx.min")]

    assert page.headers["cache-control"] == "no-store"
    assert "immutable" in api.http.get(script).headers["cache-control"]
    assert "immutable" not in api.http.get(script.partition("?")[0]).headers["cache-control"]
