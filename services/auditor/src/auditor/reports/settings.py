"""The settings of the report worker."""

from pathlib import Path

from messaging.process.settings import Settings


class ReportSettings(Settings):
    """From the environment. `report_store`: the directory where reports wait to be mailed. The notifier reads it."""

    report_store: Path
