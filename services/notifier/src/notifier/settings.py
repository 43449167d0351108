"""The notifier's settings."""

from pathlib import Path
from typing import Annotated, ClassVar, Literal

from pydantic import AfterValidator, Field, PlainValidator

from messaging.process.settings import Environment, Settings, secret
from notifier.mail import Address
from notifier.rate import Rate
from notifier.senders import open_sender

MailUrl = Annotated[str, secret(lambda url: (open_sender(url, timeout=1.0), url)[1]), Field(repr=False)]
MailRate = Annotated[Rate, PlainValidator(Rate.parse)]
MailFrom = Annotated[str, AfterValidator(lambda text: (Address.sender(text), text)[1])]
ReportTo = Annotated[str, AfterValidator(lambda text: (text and Address.parse(text, "REPORT_TO"), text)[1])]


class MailSettings(Environment):
    """How mails are sent: README's table says what each means. `mail_timeout`: seconds for sending one mail."""

    older_names: ClassVar = {"mail_url": "smtp_url", "mail_timeout": "smtp_timeout"}

    mail_url: MailUrl
    mail_timeout: float = Field(default=10.0, gt=0, le=300)
    mail_from: MailFrom = "Herald <welcome@example.com>"


class NotifierSettings(MailSettings, Settings):
    """The settings of the notifier's worker.

    `report_to`: who gets reports, an address or a name and an address. `report_store`: the directory of their files.
    """

    mail_rate: MailRate | None = None
    report_to: ReportTo = Field(default="", repr=False)
    report_store: Path | None = None
    notifier_uncertain: Literal["resend", "hold"] = "resend"
