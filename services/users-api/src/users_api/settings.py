"""The settings of the web process, which needs PostgreSQL alone."""

from typing import Annotated, Literal

from pydantic import Field

from messaging.errors import ConfigurationError
from messaging.process import urls
from messaging.process.settings import DatabaseSettings, secret

MIN_TOKEN = 16


def _token(value: str) -> str:
    if len(value) < MIN_TOKEN or not (value.isascii() and value.isprintable()):
        raise ConfigurationError(f"must have at least {MIN_TOKEN} characters, all of them ASCII")
    return value


class ApiSettings(DatabaseSettings):
    """From the environment; README's table says what each means.

    `redis_url`: only `GET /status` and the console's overview look into Redis.
    """

    host: str = "127.0.0.1"
    port: int = Field(default=8000, ge=1, le=65535)
    request_timeout: float = Field(default=10.0, gt=0, le=3600)
    max_connections: int = Field(default=1000, ge=1, le=100_000)
    probe_connections: int = Field(default=16, ge=1, le=1000)
    redis_url: Annotated[str | None, secret(urls.redis), Field(repr=False, validate_default=False)] = None
    mailbox_url: str | None = Field(default=None, pattern="^https?://")
    console: Literal["on", "off"] = "on"
    console_token: Annotated[str | None, secret(_token), Field(repr=False, validate_default=False)] = None
