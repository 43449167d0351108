"""Which sender MAIL_URL chooses, and its older name."""

from pathlib import Path

import pytest

from messaging import ConfigurationError
from messaging.process.settings import load
from notifier import senders
from notifier.errors import MailUrlInvalid
from notifier.senders import open_sender
from notifier.settings import NotifierSettings

PIGEON = """
class Sender:
    def __init__(self, url, *, timeout):
        self.url, self.timeout = url, timeout
    def send(self, mail):
        return f"{self.url} in {self.timeout}: {mail}"
"""


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    monkeypatch.setenv("DATABASE_URL", "postgresql://db/notifier")
    monkeypatch.setenv("REDIS_URL", "redis://cache")
    return monkeypatch


def test_a_new_provider_is_one_new_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "pigeon.py").write_text(PIGEON)
    monkeypatch.setattr(senders, "__path__", [*senders.__path__, str(tmp_path)])

    assert open_sender("pigeon://loft", timeout=2.0).send("mail") == "pigeon://loft in 2.0: mail"  # type: ignore[arg-type]


@pytest.mark.parametrize("url", ["", "s3cret@mail", "http://s3cret", "smtp2://s3cret", "..smtp://", "__init__://"])
def test_an_unknown_scheme_is_told_the_known_ones(url: str) -> None:
    with pytest.raises(MailUrlInvalid, match=r"^MAIL_URL can't be used: .* smtp://, smtps://\. Write ") as caught:
        open_sender(url, timeout=1.0)

    assert "s3cret" not in str(caught.value)


@pytest.mark.parametrize("variable", ["MAIL_URL", "SMTP_URL"])
@pytest.mark.parametrize("suffix", ["", "_FILE"])
def test_the_older_name_stays(environment: pytest.MonkeyPatch, variable: str, suffix: str, tmp_path: Path) -> None:
    (tmp_path / "url").write_text("smtp://mail\n")
    environment.setenv(f"{variable}{suffix}", str(tmp_path / "url") if suffix else "smtp://mail")
    environment.setenv("SMTP_TIMEOUT", "4")

    config = load(NotifierSettings)

    assert (config.mail_url, config.mail_timeout) == ("smtp://mail", 4.0)


def test_both_names_may_say_the_same(environment: pytest.MonkeyPatch) -> None:
    environment.setenv("MAIL_URL", "smtp://mail")
    environment.setenv("SMTP_URL", "smtp://mail ")

    assert load(NotifierSettings).mail_url == "smtp://mail"


@pytest.mark.parametrize(
    ("name", "older", "value", "other"),
    [("MAIL_URL", "SMTP_URL", "smtp://me:s3cret@a", "smtp://me:s3cret@b"), ("MAIL_TIMEOUT", "SMTP_TIMEOUT", "3", "4")],
)
def test_names_that_differ_are_refused(
    environment: pytest.MonkeyPatch, name: str, older: str, value: str, other: str
) -> None:
    environment.setenv("MAIL_URL", "smtp://mail")
    environment.setenv(name, value)
    environment.setenv(older, other)

    with pytest.raises(ConfigurationError) as caught:
        load(NotifierSettings)

    assert str(caught.value) == f"{name} and {older}, its older name, differ; unset {older}"


def test_without_either_the_newer_is_named(environment: pytest.MonkeyPatch) -> None:
    with pytest.raises(ConfigurationError, match=r"^MAIL_URL isn't set\."):
        load(NotifierSettings)
