"""The report's mail: its files come from the store alone, and only if they are what was announced."""

import hashlib
from datetime import UTC, datetime
from pathlib import Path

import pytest

from contracts import ReportReady, StoredFile
from messaging import ConfigurationError, PermanentError, TransientError
from messaging.process.settings import load
from notifier.handlers import send_report_email
from notifier.mail import Address, Attachment, Mail
from notifier.reports import LARGEST, fetch
from notifier.settings import NotifierSettings

CONTENT = b"day,registrations\r\n2026-03-29,1234\r\n"
DIGEST = hashlib.sha256(CONTENT).hexdigest()


def stored(path: str = "report.csv", size: int = len(CONTENT), sha256: str = DIGEST) -> StoredFile:
    return StoredFile(name="registrations.csv", content_type="text/csv", path=path, size=size, sha256=sha256)


@pytest.fixture
def store(tmp_path: Path) -> Path:
    store = tmp_path / "store"
    store.mkdir()
    for path in (store / "report.csv", store / ".hidden.csv", tmp_path / "secret.csv"):
        path.write_bytes(CONTENT)
    (store / "folder").mkdir()
    (store / "link.csv").symlink_to(tmp_path / "secret.csv")
    return store


def test_a_file_is_fetched_by_its_reference(store: Path) -> None:
    assert fetch(store, stored()) == Attachment("registrations.csv", "text/csv", CONTENT)


@pytest.mark.parametrize(
    "path", ["../secret.csv", "folder/../../secret.csv", "link.csv", "/etc/hostname", "", ".", "..", ".hidden.csv"]
)
def test_nothing_outside_the_store_is_read(store: Path, path: str) -> None:
    with pytest.raises(PermanentError, match="outside REPORT_STORE"):
        fetch(store, stored(path))


@pytest.mark.parametrize("other", [stored(sha256="0" * 64), stored(size=3), stored(size=0)])
def test_a_file_that_is_not_what_was_announced_is_not_sent(store: Path, other: StoredFile) -> None:
    with pytest.raises(PermanentError, match="isn't the one that was announced"):
        fetch(store, other)


def test_a_file_that_no_mail_takes_is_not_read(store: Path) -> None:
    with pytest.raises(PermanentError, match=f"{LARGEST + 1} bytes"):
        fetch(store, stored(size=LARGEST + 1))


@pytest.mark.parametrize("path", ["missing.csv", "folder", "a" * 300])
def test_a_file_that_cannot_be_read_is_tried_again(store: Path, path: str) -> None:
    with pytest.raises(TransientError, match="give the notifier the auditor's REPORT_STORE"):
        fetch(store, stored(path))


class Kept:
    def send(self, mail: Mail) -> str:
        self.mail = mail
        return "kept"


REPORT = ReportReady(
    until=datetime(2026, 3, 30, 4, 0, tzinfo=UTC),
    time_zone="Europe/Berlin",
    days=2,
    registrations=1234,
    files=(stored(), stored().model_copy(update={"name": "again.csv"})),
)


def sent(to: str, store: Path | None) -> Mail:
    kept = Kept()
    send_report_email(
        REPORT,
        key="report_email.1",
        sent=datetime(2026, 3, 30, 4, 1, tzinfo=UTC),
        sender=kept,
        mail_from=Address.sender("Herald <hello@herald.example>"),
        to=to,
        store=store,
    )
    return kept.mail


def test_the_mail_says_what_the_report_counts_and_until_when(store: Path) -> None:
    mail = sent("Boss <boss@example.com>", store)

    assert (mail.recipient.name, mail.recipient.email) == ("Boss", "boss@example.com")
    assert mail.subject == "Registrations until 30 March 2026, 06:00: 1,234"
    for form in (mail.text, mail.html):
        assert "30 March 2026, 06:00 (Europe/Berlin)" in form
        assert "1,234" in form
        assert "sign up" not in form, "that is for users"
    assert [file.name for file in mail.attachments] == ["registrations.csv", "again.csv"]
    assert mail.message_id == "<report_email.1@herald.example>"


@pytest.mark.parametrize(("to", "has_store"), [("", True), ("boss@example.com", False)])
def test_without_its_settings_the_mail_waits_and_says_for_what(store: Path, to: str, has_store: bool) -> None:
    with pytest.raises(TransientError, match="REPORT_TO or REPORT_STORE: set both"):
        sent(to, store if has_store else None)


def test_a_wrong_recipient_stops_the_notifier_at_its_start(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = {"DATABASE_URL": "postgresql://", "REDIS_URL": "redis://", "MAIL_URL": "smtp://mail"}
    for name, value in {**settings, "REPORT_TO": "the boss"}.items():
        monkeypatch.setenv(name, value)

    with pytest.raises(ConfigurationError, match=r"^REPORT_TO can't be used: .* Write "):
        load(NotifierSettings)
