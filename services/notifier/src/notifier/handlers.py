"""What the notifier does with events: plain functions of plain data."""

from dataclasses import replace
from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

from contracts import ReportReady
from messaging import TransientError
from notifier.mail import Address, compose
from notifier.reports import fetch
from notifier.senders import Sender


def send_email(  # noqa: PLR0913  # plain data, one argument for each
    template: str, email: str, full_name: str, *, key: str, sent: datetime, sender: Sender, mail_from: Address
) -> str | None:
    """Send a user the mail of a template; return the server's reference, if it gives one.

    `key` is the same whenever this event is handled, so a repeated mail is recognised. `sent`: the mail's date.
    Raises one of `notifier.errors`, which says whether the mail may have been sent.
    """
    recipient = Address.recipient(full_name, email)
    mail = compose(template, sender=mail_from, recipient=recipient, key=key, date=sent, full_name=full_name)
    return sender.send(mail)


def send_report_email(  # noqa: PLR0913  # plain data, one argument for each
    report: ReportReady, *, key: str, sent: datetime, sender: Sender, mail_from: Address, to: str, store: Path | None
) -> str | None:
    """Send a report, with its files from the report store, to the address that REPORT_TO names."""
    if not to or store is None:
        raise TransientError("a report is ready, but the notifier lacks REPORT_TO or REPORT_STORE: set both")
    until = report.until.astimezone(ZoneInfo(report.time_zone))
    mail = compose(
        "report",
        sender=mail_from,
        recipient=Address.parse(to, "REPORT_TO"),
        key=key,
        date=sent,
        until=f"{until.day} {until:%B %Y}, {until:%H:%M}",
        time_zone=report.time_zone,
        registrations=f"{report.registrations:,}",
        days=report.days,
    )
    return sender.send(replace(mail, attachments=tuple(fetch(store, file) for file in report.files)))
