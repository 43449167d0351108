"""Settings come from the environment. `NAME_FILE` names a file that holds the value: for secrets.

The value of a secret setting is never shown, whatever is wrong with it (`secret`).
"""

import os
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, TypeVar

from pydantic import Field, PlainValidator, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails, PydanticCustomError
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from messaging.errors import ConfigurationError
from messaging.process import urls


def setting(variable: str) -> str:
    """Return the value of an environment variable, or of the file that `<variable>_FILE` names; empty without either.

    Raises:
        ConfigurationError: the file can't be read.
    """
    return os.environ.get(variable, "").strip() or _from_file(variable) or ""


def _from_file(variable: str) -> str | None:
    path = os.environ.get(f"{variable}_FILE")
    if not path:
        return None
    try:
        return Path(path).read_text().strip()
    except OSError as error:
        fault = f"can't read the file that it names: {error.strerror}"  # the name may be the secret, by mistake
    except UnicodeDecodeError:
        fault = "the file that it names isn't text in UTF-8"
    raise ConfigurationError(f"{variable}_FILE: {fault}")


class _FileSource(PydanticBaseSettingsSource):
    """Reads `DATABASE_URL_FILE` for `database_url`, and so on, as Docker and Kubernetes mount secrets."""

    def get_field_value(self, field: FieldInfo, field_name: str) -> tuple[Any, str, bool]:
        return _from_file(field_name.upper()), field_name, False

    def __call__(self) -> dict[str, Any]:
        values = {name: self.get_field_value(field, name)[0] for name, field in self.settings_cls.model_fields.items()}
        return {name: value for name, value in values.items() if value is not None}


class _OlderNames(_FileSource):
    """Reads the variables of settings' older names, such as SMTP_URL and SMTP_URL_FILE for `mail_url`."""

    def __init__(self, settings_cls: type[BaseSettings], older_names: Mapping[str, str]) -> None:
        super().__init__(settings_cls)
        self._older_names = older_names

    def __call__(self) -> dict[str, Any]:
        fields = self.settings_cls.model_fields
        values = {
            name: os.environ.get(older.upper()) or self.get_field_value(fields[name], older)[0]
            for name, older in self._older_names.items()
        }
        for name, value in values.items():
            older = self._older_names[name].upper()
            if value and str(self.current_state.get(name, value)).strip() != value.strip():
                raise ConfigurationError(f"{name.upper()} and {older}, its older name, differ; unset {older}")
        return {name: value for name, value in values.items() if value}


def secret(check: Callable[[str], Any]) -> PlainValidator:
    """Validate a setting that holds a password by `check`, whose ConfigurationError must not quote the value.

    Of any other error only the type is shown: its message, or that of its cause, could quote the value.
    """

    def read(value: Any) -> Any:
        try:
            return check(str(value).strip())
        except ConfigurationError as error:
            fault = str(error)
        except Exception as error:
            fault = f"can't be read ({type(error).__name__})"
        raise PydanticCustomError("secret", "{fault}", {"fault": fault})

    return PlainValidator(read)


DatabaseUrl = Annotated[str, secret(urls.postgresql), Field(repr=False)]
RedisUrl = Annotated[str, secret(urls.redis), Field(repr=False)]


class Environment(BaseSettings):
    """Settings that are read from the environment, or from files that it names.

    `older_names`: the older name of a setting, by the setting's name.
    """

    older_names: ClassVar[Mapping[str, str]] = {}

    model_config = SettingsConfigDict(extra="ignore", env_ignore_empty=True)

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Let the environment win over `_FILE`, and read no other source: no unexpected .env."""
        return init_settings, env_settings, _FileSource(settings_cls), _OlderNames(settings_cls, cls.older_names)


class DatabaseSettings(Environment):
    """The settings of a command that uses only the service's database."""

    database_url: DatabaseUrl
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"
    log_format: Literal["json", "console"] = "console"


class Settings(DatabaseSettings):
    """The settings of a process that uses Redis too. Services subclass it for their own settings."""

    redis_url: RedisUrl


SettingsT = TypeVar("SettingsT", bound=BaseSettings)


def load(settings: type[SettingsT]) -> SettingsT:
    """Read the settings from the environment.

    Raises:
        ConfigurationError: names each variable that is missing or wrong, never its value.
    """
    try:
        return settings()
    except ValidationError as error:
        faults = [_named(str(fault["loc"][0]).upper(), fault) for fault in error.errors(include_input=False)]
        raise ConfigurationError("; ".join(faults) + ". See .env.example.") from None


def load_or_exit(settings: type[SettingsT]) -> SettingsT:
    """Read the settings, or end the process with status 2 and one line that says what to set."""
    with exit_if_wrong():
        return load(settings)


@contextmanager
def exit_if_wrong() -> Iterator[None]:
    """End the process with status 2 and one line, if a setting turns out to be wrong in this block."""
    try:
        yield
    except ConfigurationError as error:
        sys.stderr.write(f"configuration: {error}\n")
        sys.exit(2)


def _named(variable: str, fault: ErrorDetails) -> str:
    if fault["type"] == "missing":
        return f"{variable} isn't set"
    return fault["msg"] if fault["msg"].startswith(variable) else f"{variable}: {fault['msg']}"
