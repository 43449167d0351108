"""REDIS_URL is optional for users-api: it looks there for GET /status alone."""

import pytest

from messaging.errors import ConfigurationError
from messaging.process.settings import load
from users_api.settings import ApiSettings


@pytest.fixture(autouse=True)
def database(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgresql://user@host/name")
    monkeypatch.delenv("REDIS_URL", raising=False)


def test_without_it_there_is_none() -> None:
    assert load(ApiSettings).redis_url is None


def test_its_password_is_not_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REDIS_URL", "redis://:secret@host:6379/0")

    settings = load(ApiSettings)

    assert settings.redis_url == "redis://:secret@host:6379/0"
    assert "secret" not in repr(settings)


def test_a_wrong_one_is_refused_without_being_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REDIS_URL", "http://:secret@host")

    with pytest.raises(ConfigurationError, match="REDIS_URL: must begin with redis://") as refused:
        load(ApiSettings)

    assert "secret" not in str(refused.value)
