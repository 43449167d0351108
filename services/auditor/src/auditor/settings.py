"""The auditor's settings."""

from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, Field, model_validator

from auditor.chain.checkpoints import Checkpoints
from auditor.chain.keys import KeyUnusable, private_key
from messaging.errors import ConfigurationError
from messaging.process.settings import Settings, secret


def _signing_key(text: str) -> str:
    try:
        if text:
            private_key(text)
    except KeyUnusable:
        raise ConfigurationError("isn't a key; make one with: auditor keygen") from None
    return text


def _in_a_folder(path: Path | None) -> Path | None:
    if path is not None and (path.is_dir() or not path.parent.is_dir()):
        raise ValueError("name a file in a folder that exists")
    return path


class AuditorSettings(Settings):
    """From the environment; .env.example says what each means. `audit_signing_key`: empty, if checkpoints are off."""

    audit_checkpoints: Annotated[Path | None, AfterValidator(_in_a_folder)] = None
    audit_signing_key: Annotated[str, secret(_signing_key), Field(repr=False)] = ""

    @model_validator(mode="after")
    def _both_or_neither(self) -> "AuditorSettings":
        if (self.audit_checkpoints is None) != (self.audit_signing_key == ""):
            raise ConfigurationError("AUDIT_CHECKPOINTS and AUDIT_SIGNING_KEY: set both, or neither")
        return self

    def checkpoints(self) -> Checkpoints | None:
        """Return the file for checkpoints; None, if they are off."""
        if self.audit_checkpoints is None:
            return None
        return Checkpoints(self.audit_checkpoints, private_key(self.audit_signing_key))
