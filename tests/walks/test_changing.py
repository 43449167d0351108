"""The walks of docs/changing.md, carried out in a copy of the repository, checked, and run for real."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from chaos.servers import Servers
from chaos.system import System
from devstack.postgres import Postgres
from devstack.processes import Process

from .provider import Provider, provider
from .walk import PAGE, PATH, ROOT, copy_to, sources, walk

EXECUTED = ("Another mail, ten days later", "Another mail provider", "A text message", "A second publisher")

CHECKED = ROOT / ".mypy_cache"


@pytest.fixture(scope="module")
def changed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the repository in which all walks were carried out."""
    root = tmp_path_factory.mktemp("changed")
    copy_to(root)
    if CHECKED.exists():  # mypy then reads again only what the walks have changed
        shutil.copytree(CHECKED, root / CHECKED.name)
    for title in EXECUTED:
        for edit in walk(title):
            edit.apply(root)
    return root


def run(root: Path, *arguments: str, **environment: str) -> None:
    """Run a Python module in a copy."""
    path = os.pathsep.join(map(str, sources(root)))
    done = subprocess.run(
        [sys.executable, "-m", *arguments],
        cwd=root,
        env={**os.environ, "PYTHONPATH": path, **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("title", EXECUTED)
def test_a_walk_by_itself_leaves_what_the_linter_has_nothing_against(title: str, tmp_path: Path) -> None:
    copy_to(tmp_path)
    edits = walk(title)
    for edit in edits:
        edit.apply(tmp_path)

    python = sorted({edit.path for edit in edits if edit.path.endswith(".py")})
    run(tmp_path, "ruff", "check", "--no-cache", *python)
    run(tmp_path, "ruff", "format", "--no-cache", "--check", *python)


def test_the_changed_copy_keeps_its_contracts_and_types(changed: Path) -> None:
    run(changed, "pytest", "-q", "-p", "no:cacheprovider", "--noconftest", "tests/contract/test_subscriptions.py")
    run(changed, "mypy", "services/notifier", "services/imports")


@pytest.fixture
def acme() -> Iterator[Provider]:
    with provider() as server:
        yield server


@pytest.fixture
def system(changed: Path, acme: Provider, postgres: Postgres, tmp_path: Path) -> Iterator[System]:
    """The changed Herald, running."""
    environment = {
        "PYTHONPATH": os.pathsep.join(map(str, sources(changed))),
        "MAIL_URL": f"acme://key@127.0.0.1:{acme.port}?tls=no",
        "SMS_URL": f"http://127.0.0.1:{acme.port}/texts",
    }
    with Servers(tmp_path, postgres).system("changed", **environment) as system:
        system.start()
        yield system


@pytest.fixture
def imports(changed: Path, system: System, postgres: Postgres, tmp_path: Path) -> Iterator[dict[str, str]]:
    """The second publisher, running; return the environment of its command line."""
    postgres.create_database("imports")
    environment = {
        **system.herald.processes()[0].env,
        "DATABASE_URL": postgres.url("imports"),
        "REDIS_URL": system.redis_server.url,
    }
    main = [sys.executable, "-c", "from imports.cli import app; app()"]
    subprocess.run([*main, "migrate"], env=environment, check=True)
    relay = Process("imports", [*main, "relay"], env=environment, output=tmp_path / "imports.log")
    relay.start()
    subprocess.run([*main, "user", "1", "ada@example.com", "Ada"], env=environment, check=True)
    yield environment
    relay.kill()


def subjects(acme: Provider) -> set[tuple[str, str]]:
    return {(mail["to"], mail["subject"]) for mail in acme.taken.get("/mails", [])}


def test_the_changed_herald_does_what_the_walks_say(system: System, acme: Provider, imports: dict[str, str]) -> None:
    user = system.register("maya")
    system.until(lambda: ("maya@example.com", "Welcome, maya") in subjects(acme))
    system.until(lambda: len(acme.taken.get("/texts", [])) == 2)
    system.until(lambda: system.deliveries(user["id"])["text_message"]["state"] == "succeeded")
    assert system.deliveries(user["id"])["survey_email"]["state"] == "pending"
    [(days,)] = system.query(
        "users",
        "SELECT extract(epoch FROM due_at - now()) / 86400 FROM deliveries WHERE subscription = 'survey_email'",
    )
    assert 9.9 < days <= 10

    system.query("users", "UPDATE deliveries SET due_at = now() WHERE subscription = 'survey_email'")
    system.query("users", "NOTIFY herald_due")
    system.until(lambda: ("maya@example.com", "maya, how do you like it?") in subjects(acme))
    system.until(lambda: system.deliveries(user["id"])["survey_email"]["state"] == "succeeded")

    system.until(lambda: ("ada@example.com", "Welcome, Ada") in subjects(acme))
    system.until(lambda: sorted(system.audited()) == ["ada@example.com", "maya@example.com"])
    system.until(lambda: imported_states(imports["DATABASE_URL"]) == {"welcome_email", "text_message", "audit_log"})
    assert len(acme.taken["/mails"]) == 3
    assert len(set(acme.keys) - {None}) == 3, "of the mails: this provider of text messages knows no keys"


def imported_states(database_url: str) -> set[str]:
    """Return which deliveries of the second publisher have succeeded."""
    with psycopg.connect(database_url) as connection:
        rows = connection.execute("SELECT subscription FROM deliveries WHERE state = 'succeeded'").fetchall()
    return {row[0] for row in rows}


def test_each_section_is_in_the_table_of_the_page() -> None:
    text = PAGE.read_text()
    titles = [line[3:] for line in text.splitlines() if line.startswith("## ")]
    linked = [f"(#{title.lower().replace(',', '').replace('`', '').replace(' ', '-')})" for title in titles]
    assert [link for link in linked if link not in text] == []


def test_each_path_of_the_page_exists_or_is_made_by_a_walk(changed: Path) -> None:
    paths = {path for path in PATH.findall(PAGE.read_text()) if "/" in path}
    assert [path for path in sorted(paths) if not (changed / path).exists() and not (ROOT / path).exists()] == []
