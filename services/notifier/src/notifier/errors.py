"""How sending a mail fails, and what to do then. The bases are messaging's errors, which decide what happens next.

Every message is safe to log and to store: short, on one line, without a password or what identifies the recipient.
"""

from messaging.errors import (
    ConfigurationError,
    PermanentError,
    RetryLater,
    TransientError,
    Unavailable,
    UncertainError,
)


class MailUrlInvalid(ConfigurationError):
    """MAIL_URL can't be used. Write it as the message says."""

    def __init__(self, fault: str, example: str = "smtp://host:port, smtp://user:password@host or smtps://…") -> None:
        super().__init__(f"MAIL_URL can't be used: {fault}. Write {example}")


class MailRefused(PermanentError):
    """The mail server refuses this mail for good. Correct what its reply names, then retry the delivery."""


class RecipientRefused(MailRefused):
    """The recipient's address is refused for good. Correct the address, then retry the delivery."""


class MailSuppressed(MailRefused):
    """The address is suppressed (see: notifier suppressions list). To send to it: notifier suppressions remove."""

    def __init__(self) -> None:
        super().__init__(self.__doc__)


class MailDeferred(TransientError):
    """The mail was certainly not accepted, and is tried again. If that lasts, check MAIL_URL."""


class SendingRefused(MailDeferred):
    """The server refuses any mail, and is asked again later. Check MAIL_URL, MAIL_FROM and the provider's limits."""


class ServerAway(MailDeferred, Unavailable):
    """The mail server takes no mail at all at present. It is asked again later. If that lasts, check MAIL_URL."""


class Throttled(ServerAway, RetryLater):
    """The provider takes no more mails for now. They are tried again after the time that it asked for."""


class MailUncertain(UncertainError):
    """The mail was sent and no reply came. Look at the server's log, or retry the delivery to send it again."""
