"""The console as a setting."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from tests.integration.api_process import NOWHERE, users_api

SERVE = [str(Path(sys.executable).with_name("users-api")), "serve"]


def test_the_front_page_leads_to_it_and_console_off_removes_it(users_database: str) -> None:
    with users_api(users_database) as on, users_api(users_database, CONSOLE="off") as off:
        assert 'href="/console"' in on.http.get("/", headers={"Accept": "text/html"}).text
        assert on.http.get("/console").status_code == 200
        assert "/console" not in off.http.get("/", headers={"Accept": "text/html"}).text
        assert off.http.get("/console").status_code == 404
        assert off.http.get("/console/login").headers["content-type"] == "application/problem+json"


def test_the_token_may_be_in_a_file(users_database: str, tmp_path: Path) -> None:
    (tmp_path / "token").write_text("a token of an operator\n")
    with users_api(users_database, CONSOLE_TOKEN_FILE=tmp_path / "token") as api:
        bearer = {"Authorization": "Bearer a token of an operator"}
        assert api.http.get("/console").status_code == 303
        assert api.http.get("/console", headers=bearer).status_code == 200


@pytest.mark.parametrize("token", ["short", "långt lösenord är bra"])
def test_a_token_that_is_too_short_is_refused_and_not_shown(token: str) -> None:
    environment = {"PATH": os.environ["PATH"], "DATABASE_URL": NOWHERE, "CONSOLE_TOKEN": token}
    ended = subprocess.run(SERVE, env=environment, capture_output=True, text=True, check=False)

    assert ended.returncode == 2
    assert "CONSOLE_TOKEN: must have at least 16 characters" in ended.stderr
    assert token not in ended.stderr
