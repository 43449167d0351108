"""How sending a mail ends when it doesn't end well, and what to do then.

Every message is safe to log and to store: bounded, on one line, without a password, and without anything that
identifies the recipient.
"""

from messaging.errors import ConfigurationError, PermanentError, TransientError, UncertainError


class NotifierError(Exception):
    """The notifier can't go on. The message says what to do."""


class SmtpUrlInvalid(NotifierError, ConfigurationError):
    """SMTP_URL can't be used. Write smtp://host:port, smtp://user:password@host or smtps://user:password@host."""


class SenderInvalid(NotifierError, ConfigurationError):
    """The mail's sender is not one address. Write it like 'Herald <hello@example.org>'."""


class TemplateUnfit(NotifierError, ConfigurationError):
    """A template does more with the name than to insert it. Take that out, or let `notifier.forms` do it."""


class MailRefused(NotifierError, PermanentError):
    """The mail server refuses this mail for good. Mend what its reply names, then retry the delivery."""


class MailDeferred(NotifierError, TransientError):
    """The mail was certainly not accepted. It is tried again; should that last, see SMTP_URL."""


class SendingRefused(MailDeferred):
    """The server refuses any mail, and is asked again later. See SMTP_URL, MAIL_FROM and the provider's limits."""


class ServerAway(MailDeferred):
    """The mail server takes no mail at all at present. It is tried again; should that last, see SMTP_URL."""


class MailUncertain(NotifierError, UncertainError):
    """The mail was sent and no reply came: look at the server's log, or send it again."""


class MailHeld(NotifierError, UncertainError):
    """The mail may have been sent. Look at the mail server's log; retry the delivery to send it (again)."""


class ClaimLost(NotifierError, TransientError):
    """Another attempt has taken this mail over. Nothing to do: its outcome counts."""
