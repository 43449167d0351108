"""The settings of the webhook: what is refused at the start, and that no message repeats the URL or the secret."""

from pathlib import Path

import pytest

from messaging.errors import ConfigurationError
from messaging.process.settings import load
from notifier.webhooks.settings import WebhookSettings

GOOD = {
    "DATABASE_URL": "postgresql://localhost/notifier",
    "WEBHOOK_URL": "https://hooks.example.com/in/s3cret?key=s3cret",
    "WEBHOOK_SECRET": "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
}


def read(monkeypatch: pytest.MonkeyPatch, **variables: str) -> WebhookSettings:
    for name, value in (GOOD | variables).items():
        monkeypatch.setenv(name, value)
    return load(WebhookSettings)


def test_a_url_and_a_secret_are_all_it_takes(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = read(monkeypatch)
    assert str(settings.webhook_url) == GOOD["WEBHOOK_URL"]
    assert [len(secret) for secret in settings.webhook_secret] == [24]
    assert "s3cret" not in repr(settings)
    assert "webhook_secret" not in repr(settings)


def test_a_secret_may_be_in_a_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text(GOOD["WEBHOOK_SECRET"] + "\n")
    settings = read(monkeypatch, WEBHOOK_SECRET="", WEBHOOK_SECRET_FILE=str(tmp_path / "secret"))
    assert len(settings.webhook_secret) == 1


@pytest.mark.parametrize(
    "variables",
    [
        {"WEBHOOK_URL": ""},
        {"WEBHOOK_SECRET": ""},
        {"WEBHOOK_SECRET": "s3cret"},
        {"WEBHOOK_SECRET": "whsec_s3cret"},
        {"WEBHOOK_URL": "s3cret"},
        {"WEBHOOK_URL": "ftp://example.com/s3cret"},
        {"WEBHOOK_URL": "https:///s3cret"},
        {"WEBHOOK_URL": "https://me:s3cret@example.com/"},
        {"WEBHOOK_URL": "https://example.com/#s3cret"},
        {"WEBHOOK_URL": "https://example.com/s3cret\tx"},
        {"WEBHOOK_URL": "https://example.com:s3cret/"},
        {"WEBHOOK_URL": "https://[::s3cret]/"},
        {"WEBHOOK_URL": "http://example.com/s3cret"},
        {"WEBHOOK_URL": "https://127.0.0.1/s3cret"},
        {"WEBHOOK_URL": "https://[::ffff:10.0.0.1]/s3cret"},
        {"WEBHOOK_ALLOW_PRIVATE": "s3cret"},
    ],
)
def test_what_cannot_be_used_is_refused_by_its_name_alone(
    monkeypatch: pytest.MonkeyPatch, variables: dict[str, str]
) -> None:
    with pytest.raises(ConfigurationError) as refused:
        read(monkeypatch, **variables)
    assert str(refused.value).startswith(next(iter(variables)))
    assert "s3cret" not in str(refused.value)


@pytest.mark.parametrize("url", ["http://example.com/", "https://127.0.0.1:8443/", "http://[::1]:9000/in"])
def test_in_a_network_of_ones_own_it_may_be_private_and_plain(monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    with pytest.raises(ConfigurationError, match="WEBHOOK_ALLOW_PRIVATE=yes"):
        read(monkeypatch, WEBHOOK_URL=url)
    assert str(read(monkeypatch, WEBHOOK_URL=url, WEBHOOK_ALLOW_PRIVATE="yes").webhook_url) == url
