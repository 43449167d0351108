"""Opening a connection that is ready for mails: where a login is needed, one mechanism after another."""

import smtplib
import ssl

from messaging.privacy import Hidden
from notifier.errors import ServerAway
from notifier.senders.smtp.replies import describe
from notifier.senders.smtp.session import Session
from notifier.senders.smtp.url import SmtpSettings


def open_session(settings: SmtpSettings, tls: ssl.SSLContext, deadline: float) -> Session:
    """Connect and log in; ServerAway, because what goes wrong here is never a matter of one mail."""
    hidden = Hidden(secrets=(settings.password, settings.user))
    failures: dict[str, str] = {}
    while True:
        session = Session(settings, deadline)
        try:
            session.open(tls)
            if not settings.user or _logged_in(session, failures, hidden):
                return session
            session.close()
        except BaseException as error:
            session.close()
            if not isinstance(error, OSError | ValueError):  # a time limit
                raise
            failures[session.step] = describe(error, hidden)
            raise ServerAway("; ".join(f"{step}: {fault}" for step, fault in failures.items())) from None


def _logged_in(session: Session, failures: dict[str, str], hidden: Hidden) -> bool:
    """Try the mechanisms that haven't failed yet. False: the server hung up, and the rest needs a new connection."""
    offered = session.esmtp_features.get("auth", "").upper().split()
    steps = [f"AUTH {name}" for name in map(str.upper, session.settings.auth) if name in offered]
    untried = [step for step in steps if step not in failures]
    session.user, session.password = session.settings.user, session.settings.password  # for smtplib's answers
    for session.step in untried:
        mechanism = session.step.removeprefix("AUTH ")
        try:
            session.auth(mechanism, getattr(session, f"auth_{mechanism.lower().replace('-', '_')}"))
        except smtplib.SMTPAuthenticationError as error:
            failures[session.step] = describe(error, hidden)
        except smtplib.SMTPServerDisconnected as error:
            session.left()
            if session.step == untried[0]:  # otherwise it hung up on the one before
                failures[session.step] = describe(error, hidden)
            if untried[1:]:
                return False
        else:
            return True
    session.step = "AUTH"
    if steps:
        raise OSError("the server took no login: check user, password and ?auth= in MAIL_URL")
    if offered:
        raise OSError(f"of the server's mechanisms ({' '.join(offered)}) none is known or in ?auth= of MAIL_URL")
    raise OSError("the server offers no login here: many do only after STARTTLS, or on port 587")
