"""Settings come from the environment. `NAME_FILE` names a file that holds the value: for secrets."""

import os
import sys
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

from pydantic import AfterValidator, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import PydanticCustomError
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from messaging.errors import ConfigurationError


class _FileSource(PydanticBaseSettingsSource):
    """Reads `DATABASE_URL_FILE` for `database_url`, and so on, as Docker and Kubernetes mount secrets."""

    def get_field_value(self, field: FieldInfo, field_name: str) -> tuple[Any, str, bool]:
        path = os.environ.get(f"{field_name.upper()}_FILE")
        if not path:
            return None, field_name, False
        try:
            return Path(path).read_text().strip(), field_name, False
        except OSError as error:
            raise ConfigurationError(f"{field_name.upper()}_FILE: can't read {path}: {error.strerror}") from None

    def __call__(self) -> dict[str, Any]:
        found = {name: self.get_field_value(field, name)[0] for name, field in self.settings_cls.model_fields.items()}
        return {name: value for name, value in found.items() if value is not None}


def _begins_with(*schemes: str) -> AfterValidator:
    def check(url: str) -> str:
        if not url.startswith(schemes):
            raise PydanticCustomError("url", "must begin with {schemes}", {"schemes": " or ".join(schemes)})
        return url

    return AfterValidator(check)


class DatabaseSettings(BaseSettings):
    """What a command needs that only speaks to the service's database."""

    model_config = SettingsConfigDict(extra="ignore", env_ignore_empty=True)

    database_url: Annotated[str, _begins_with("postgresql://", "postgres://")]
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"
    log_format: Literal["json", "console"] = "console"

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Let the environment win over `_FILE`, and read nothing else: no .env behind anyone's back."""
        return init_settings, env_settings, _FileSource(settings_cls)


class Settings(DatabaseSettings):
    """What every process needs that speaks to Redis too. Services subclass it for their own."""

    redis_url: Annotated[str, _begins_with("redis://", "rediss://", "unix://")]


SettingsT = TypeVar("SettingsT", bound=BaseSettings)


def load(settings: type[SettingsT]) -> SettingsT:
    """Read the settings from the environment.

    Raises:
        ConfigurationError: names each variable that is missing or wrong, never its value.
    """
    try:
        return settings()
    except ValidationError as error:
        faults = [f"{str(fault['loc'][0]).upper()}: {fault['msg']}" for fault in error.errors(include_input=False)]
        raise ConfigurationError("; ".join(faults) + ". See .env.example.") from None


def load_or_exit(settings: type[SettingsT]) -> SettingsT:
    """Read the settings, or end the process with status 2 and one line that says what to set."""
    try:
        return load(settings)
    except ConfigurationError as error:
        sys.stderr.write(f"configuration: {error}\n")
        sys.exit(2)
