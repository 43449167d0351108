"""`herald doctor`: is anything wrong, and what to do about it?

A check returns findings, each with a remedy unless it is `ok`. `look` is for what may be as it should be; `wrong` makes
the exit status 1.
"""

import sys
from collections.abc import Iterator

from messaging.process.settings import exit_if_wrong, load_or_exit
from users_api.herald import output
from users_api.herald.doctor.finding import Finding
from users_api.herald.listing import print_rows
from users_api.herald.status import LookSettings

COLUMNS = ("check", "verdict", "found", "what to do")


class DoctorSettings(LookSettings):
    """From the environment. `mail_url`: that of the notifier; without it the mail server isn't looked for."""

    mail_url: str | None = None
    smtp_url: str | None = None


def doctor(as_json: output.AsJson = False) -> None:
    """Check PostgreSQL, its migrations, Redis, clocks, relays, workers, the mail server, and lateness.

    The exit status is 1 if something is wrong.
    """
    findings = list(_findings(load_or_exit(DoctorSettings)))
    if as_json:
        output.print_json({"findings": [finding._asdict() for finding in findings]})
    else:
        print_rows(COLUMNS, findings)
    sys.exit(any(finding.verdict == "wrong" for finding in findings))


def _findings(settings: DoctorSettings) -> Iterator[Finding]:
    from users_api.herald.doctor import clocks, mail, postgresql, transport

    usable = True
    for finding in postgresql.check(settings.database_url):
        yield finding
        usable = usable and finding.verdict != "wrong"
    yield from transport.check(settings.redis_url)
    if usable:
        yield from clocks.check(settings.database_url, settings.redis_url)
        yield from _at_work(settings)
    yield from mail.check(settings.mail_url or settings.smtp_url)


def _at_work(settings: LookSettings) -> Iterator[Finding]:
    from users_api.database import DatabaseUnavailable
    from users_api.herald.doctor import lateness, processes
    from users_api.herald.status import look

    try:
        seen = look(settings)
    except DatabaseUnavailable as error:
        remedy = "If a table, column or right is missing: users-api migrate, as the tables' owner."
        yield Finding("deliveries", "wrong", str(error), remedy)
        return
    with exit_if_wrong():
        yield from processes.check(seen)
    yield from lateness.check(seen)
