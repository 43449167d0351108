"""What the console shows when something doesn't work."""

from collections.abc import Iterator

import pytest
from tests.integration.live_api import LiveApi


@pytest.fixture
def old_tables(api: LiveApi) -> Iterator[None]:
    """A database that lacks a migration."""
    api.execute("ALTER TABLE delivery_counts RENAME TO elsewhere")
    yield
    api.execute("ALTER TABLE elsewhere RENAME TO delivery_counts")


@pytest.mark.usefixtures("old_tables")
@pytest.mark.parametrize("page", ["/console", "/console/overview"])
def test_a_table_that_is_missing_is_named_with_the_remedy(api: LiveApi, page: str) -> None:
    answer = api.http.get(page)

    assert answer.status_code == 503
    assert "delivery_counts" in answer.text
    assert "run: users-api migrate" in answer.text


def test_a_crash_is_a_page_that_names_the_log_and_is_logged(api: LiveApi, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("users_api.console.overview.findings", lambda status: 1 / 0)
    answer = api.http.get("/console")

    assert answer.status_code == 500
    assert "see the log of users-api" in answer.text
    assert "ZeroDivisionError" not in answer.text
    assert ("request.crashed", "/console") in [(line["event"], line.get("path")) for line in api.log]


def test_a_method_that_a_page_does_not_have(api: LiveApi) -> None:
    assert api.http.post("/console/schedules").status_code == 405
    assert api.http.head("/console/schedules").status_code == 200
