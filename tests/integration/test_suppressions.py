"""Addresses that were refused for good get no further mail, until an operator allows it."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, LiteralString

import pytest
from tests.patience import SLACK
from typer.testing import CliRunner

from messaging.process.database import Pool, open_pool
from notifier import suppressions
from notifier.cli import app
from notifier.errors import MailDeferred, MailRefused, MailSuppressed, RecipientRefused
from notifier.mail import Address, Mail
from notifier.suppressions import Suppressing

from .mails import MAIL


class Provider:
    """Keeps mails, or raises what it has for an address."""

    def __init__(self) -> None:
        self.sent: list[str] = []
        self.trouble: dict[str, Exception] = {}

    def send(self, mail: Mail) -> str:
        if error := self.trouble.get(mail.recipient.email):
            raise error
        self.sent.append(mail.recipient.email)
        return "reference"


@pytest.fixture
def url(new_database: Callable[[str], str]) -> str:
    return new_database("notifier")


@pytest.fixture
def pool(url: str) -> Iterator[Pool]:
    with open_pool(url, size=1, name="test") as pool:
        yield pool


@pytest.fixture
def now(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The monotonic clock, as the list's only item."""
    clock = [1000.0]
    monkeypatch.setattr("notifier.suppressions.time.monotonic", lambda: clock[0])
    return clock


def to(email: str) -> Mail:
    return replace(MAIL, recipient=Address("Ada", email))


def command(url: str, *arguments: str) -> Any:
    return CliRunner().invoke(app, ["suppressions", *arguments], env={"DATABASE_URL": url})


def test_an_address_that_is_refused_for_good_gets_no_further_mail(pool: Pool) -> None:
    provider = Provider()
    provider.trouble["gone@example.org"] = RecipientRefused("RCPT: 550 5.1.1 no such user")
    sender = Suppressing(provider, pool)

    with pytest.raises(RecipientRefused):
        sender.send(to("gone@example.org"))
    del provider.trouble["gone@example.org"]
    for again in (sender, Suppressing(provider, pool)):
        with pytest.raises(MailSuppressed, match=r"is suppressed .*suppressions remove"):
            again.send(to("Gone@Example.org"))
    assert sender.send(to("ada@example.org")) == "reference"
    assert provider.sent == ["ada@example.org"]


@pytest.mark.parametrize("error", [MailRefused("content: 554 spam"), MailDeferred("RCPT: 451 later")])
def test_other_refusals_are_about_the_mail_or_pass(pool: Pool, error: Exception) -> None:
    provider = Provider()
    provider.trouble["ada@example.org"] = error
    sender = Suppressing(provider, pool)
    with pytest.raises(type(error)):
        sender.send(to("ada@example.org"))

    provider.trouble.clear()
    assert Suppressing(provider, pool).send(to("ada@example.org")) == "reference"


def test_other_processes_and_commands_are_seen_within_a_second(pool: Pool, url: str, now: list[float]) -> None:
    sender = Suppressing(Provider(), pool)
    sender.send(to("ada@example.org"))
    assert "ada@example.org: suppressed\n" in command(url, "add", "Ada@example.org", "--reason", "she asked").output

    now[0] += 0.9
    assert sender.send(to("ada@example.org")) == "reference"
    now[0] += 0.2
    with pytest.raises(MailSuppressed):
        sender.send(to("ada@example.org"))
    command(url, "remove", "ada@example.org")
    now[0] += 1.1
    assert sender.send(to("ada@example.org")) == "reference"


def test_a_change_that_is_committed_late_is_not_overlooked(pool: Pool, url: str, now: list[float]) -> None:
    sender = Suppressing(Provider(), pool)
    with open_pool(url, size=1, name="late") as late, late.connection() as connection, connection.transaction():
        suppressions.add(connection, "late@example.org", "late")
        command(url, "add", "early@example.org")
        now[0] += 2
        sender.send(to("ada@example.org"))
    now[0] += 2
    with pytest.raises(MailSuppressed):
        sender.send(to("late@example.org"))


def test_the_list_is_not_asked_for_each_mail(pool: Pool, url: str, now: list[float]) -> None:
    sender = Suppressing(Provider(), pool)
    for _ in range(100):
        sender.send(to("ada@example.org"))
    with pool.connection() as connection:
        connection.execute("SELECT pg_stat_force_next_flush()")
    with pool.connection() as connection:
        scans = "SELECT seq_scan + idx_scan FROM pg_stat_user_tables WHERE relname = 'suppressions'"
        assert connection.execute(scans).fetchall() == [(1,)]


def test_while_the_list_cannot_be_read_mails_wait(pool: Pool, url: str) -> None:
    with pool.connection() as connection:
        connection.execute("ALTER TABLE suppressions RENAME TO elsewhere")
    with pytest.raises(MailDeferred, match="suppression list"):
        Suppressing(Provider(), pool).send(to("ada@example.org"))


def test_the_commands(url: str) -> None:
    assert "No addresses are suppressed." in command(url, "list").output
    assert command(url, "add", "zoë@münchen.example").output == "zoë@xn--mnchen-3ya.example: suppressed\n"
    assert command(url, "add", "zoë@xn--mnchen-3ya.example").output.endswith("was suppressed already\n")
    assert "added by an operator" in command(url, "list").output
    assert '"reason": "added by an operator"' in command(url, "list", "--json").output
    assert command(url, "remove", "zoë@münchen.example").exit_code == 0
    again = command(url, "remove", "zoë@münchen.example")
    assert (again.exit_code, "isn't suppressed" in again.output) == (1, True)
    assert command(url, "add", "nonsense").exit_code == 2
    assert command("postgresql://127.0.0.1:1/none", "list").exit_code == 1


@contextmanager
def locked(url: str, mode: LiteralString) -> Iterator[None]:
    with open_pool(url, size=1, name="other") as other, other.connection() as connection, connection.transaction():
        connection.execute(f"LOCK TABLE suppressions IN {mode} MODE")
        yield


def test_a_locked_list_holds_up_no_mail_for_longer_than_a_claim_allows(pool: Pool, url: str) -> None:
    sender = Suppressing(Provider(), pool)
    sender.load()
    sender._read_at = float("-inf")
    with locked(url, "ACCESS EXCLUSIVE"):
        began = time.monotonic()
        with pytest.raises(MailDeferred, match="suppression list"):
            sender.send(to("ada@example.org"))
        assert time.monotonic() - began < SLACK


def test_a_refused_address_that_cannot_be_listed_is_asked_for_again_and_listed_then(pool: Pool, url: str) -> None:
    provider = Provider()
    provider.trouble["gone@example.org"] = RecipientRefused("RCPT: 550 5.1.1 no such user")
    sender = Suppressing(provider, pool)
    with locked(url, "SHARE"):  # it can be read
        began = time.monotonic()
        with pytest.raises(MailDeferred, match=r"550 5.1.1 no such user.*can't be written: QueryCanceled"):
            sender.send(to("gone@example.org"))
        assert time.monotonic() - began < SLACK
    with pytest.raises(RecipientRefused):
        sender.send(to("gone@example.org"))
    assert "gone@example.org" in command(url, "list").output


def test_what_was_added_long_ago_is_read_once(pool: Pool, now: list[float]) -> None:
    with pool.connection() as connection:
        connection.execute(
            "INSERT INTO suppressions (address, reason, changed_at)"
            " SELECT i || '@example.org', 'x', now() - interval '1 min' FROM generate_series(1, 1000) AS i"
        )
    sender = Suppressing(Provider(), pool)
    sender.load()
    assert len(sender._addresses) == 1000
    sender._addresses.clear()
    now[0] += 2
    assert sender.send(to("7@example.org")) == "reference", "the rows weren't read again"


def test_an_argument_that_is_no_text_is_no_address(url: str) -> None:
    assert command(url, "add", "\udcff@example.org").exit_code == 2
