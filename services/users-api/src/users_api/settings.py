"""The settings of the web process. It needs PostgreSQL alone; the relay takes `messaging.settings.Settings`."""

from pydantic import Field

from messaging.settings import DatabaseSettings


class ApiSettings(DatabaseSettings):
    """From the environment; README's table says what each means."""

    host: str = "127.0.0.1"
    port: int = Field(default=8000, ge=1, le=65535)
