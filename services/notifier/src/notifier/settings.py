"""The notifier's settings."""

from typing import Annotated, Literal

from pydantic import AfterValidator, Field
from pydantic_settings import NoDecode

from messaging.process.settings import Settings, secret
from notifier.email import checked_sender
from notifier.smtp import SmtpSettings


class NotifierSettings(Settings):
    """From the environment; README's table says what each means. `smtp_timeout`: seconds for one conversation."""

    smtp_url: Annotated[SmtpSettings, NoDecode, secret(SmtpSettings.parse), Field(repr=False)]
    smtp_timeout: float = Field(default=10.0, gt=0, le=300)
    mail_from: Annotated[str, AfterValidator(checked_sender)] = "Herald <welcome@example.com>"
    notifier_uncertain: Literal["resend", "hold"] = "resend"
