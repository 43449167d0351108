"""The notifier's settings."""

from typing import Annotated, ClassVar, Literal

from pydantic import AfterValidator, Field

from messaging.process.settings import Settings, secret
from notifier.mail import Address
from notifier.senders import open_sender


def _checked_url(url: str) -> str:
    open_sender(url, timeout=1.0)
    return url


def _checked_sender(text: str) -> str:
    Address.sender(text)
    return text


MailUrl = Annotated[str, secret(_checked_url), Field(repr=False)]


class NotifierSettings(Settings):
    """From the environment; README's table says what each means. `mail_timeout`: seconds for sending one mail."""

    older_names: ClassVar = {"mail_url": "smtp_url", "mail_timeout": "smtp_timeout"}

    mail_url: MailUrl
    mail_timeout: float = Field(default=10.0, gt=0, le=300)
    mail_from: Annotated[str, AfterValidator(_checked_sender)] = "Herald <welcome@example.com>"
    notifier_uncertain: Literal["resend", "hold"] = "resend"
