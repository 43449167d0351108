"""The settings of the report worker, and of the auditor's relay."""

from pathlib import Path

from pydantic import Field

from messaging.process.settings import Settings


class ReportSettings(Settings):
    """From the environment. `report_store`: the directory where reports wait to be mailed. The notifier reads it."""

    report_store: Path


class RelaySettings(Settings):
    """From the environment; README's table says what each means. `retention_days`: up to a hundred years."""

    retention_days: float = Field(default=30.0, gt=0, le=36_500)
