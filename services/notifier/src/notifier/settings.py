"""The notifier's settings."""

from typing import Literal

from pydantic import Field

from messaging.settings import Settings


class NotifierSettings(Settings):
    """From the environment; README's table says what each means. `smtp_timeout`: seconds for one conversation."""

    smtp_url: str
    smtp_timeout: float = Field(default=10.0, gt=0, le=300)
    mail_from: str = "Herald <welcome@example.com>"
    notifier_uncertain: Literal["resend", "hold"] = "resend"
