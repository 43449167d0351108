"""Logging in: one mechanism after another, until the server takes one.

A server may hang up after a login that failed. The next mechanism is then tried on a new connection.
"""

import smtplib
from typing import TYPE_CHECKING

from notifier.privacy import Hidden
from notifier.smtp.replies import describe
from notifier.smtp.url import MECHANISMS, SmtpSettings

if TYPE_CHECKING:
    from notifier.smtp.connection import Connection


class LoginCutShort(OSError):
    """The server hung up before all mechanisms were tried. Go on with a new connection."""


class LoginFailed(OSError):
    """The server takes no login. Check user, password and ?auth= in SMTP_URL."""


class Login:
    """The attempts to log in for one connection. `failures`: what came of each, by its step."""

    def __init__(self, settings: SmtpSettings, hidden: Hidden) -> None:
        self.failures: dict[str, str] = {}
        self._settings = settings
        self._hidden = hidden

    def on(self, connection: "Connection") -> None:
        """Try the mechanisms that haven't failed yet.

        Raises:
            LoginCutShort: the server hung up, and there are more to try.
            LoginFailed: it took none.
            OSError, ValueError: the connection failed, or a challenge can't be read.
        """
        untried = self._untried(connection)
        for number, step in enumerate(untried):
            connection.step = step
            try:
                _authenticate(connection, step.removeprefix("AUTH "), self._settings)
            except smtplib.SMTPAuthenticationError as error:
                self.failures[step] = describe(error, self._hidden)
            except smtplib.SMTPServerDisconnected as error:
                connection.deadline.left()
                if number == 0:  # otherwise it hung up on the one before
                    self.failures[step] = describe(error, self._hidden)
                if number or untried[1:]:
                    raise LoginCutShort from error
            else:
                return
        connection.step = "AUTH"
        raise LoginFailed(self._why_none(connection))

    def _untried(self, connection: "Connection") -> list[str]:
        offered = _offered(connection)
        steps = [f"AUTH {mechanism.upper()}" for mechanism in self._settings.auth or MECHANISMS]
        return [step for step in steps if step.removeprefix("AUTH ") in offered and step not in self.failures]

    def _why_none(self, connection: "Connection") -> str:
        if self.failures:
            return "the server took no login: check user, password and ?auth= in SMTP_URL"
        offered = " ".join(_offered(connection))
        if offered:
            return f"of the server's mechanisms ({offered}) none is known or in ?auth= of SMTP_URL"
        return "the server offers no login here: many do only after STARTTLS, or on port 587"


def _offered(connection: "Connection") -> list[str]:
    return connection.esmtp_features.get("auth", "").upper().split()


def _authenticate(connection: "Connection", mechanism: str, settings: SmtpSettings) -> None:
    connection.user, connection.password = settings.user, settings.password  # for smtplib's answers
    connection.auth(mechanism, getattr(connection, f"auth_{mechanism.lower().replace('-', '_')}"))
