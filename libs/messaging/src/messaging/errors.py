"""The errors that a handler raises to say how its attempt ended. Any other exception is logged, and tried again."""

import psycopg

MAX_AFTER = 30 * 86_400.0
"""Seconds: the longest delay that a handler may request."""


class MessagingError(Exception):
    """Herald's messaging can't continue. The message says what to do."""


class ConfigurationError(MessagingError):
    """A setting is missing or wrong. Set the environment variable that the message names."""


class DatabaseUnsuitable(MessagingError, psycopg.OperationalError):
    """Herald can't work with this database, or with the pooler in front of it. Fix what the message names."""


class PermanentError(MessagingError):
    """Trying again can't help. The delivery fails at once; fix the cause, then retry it."""


class TransientError(MessagingError):
    """The attempt failed, and another may succeed. It follows after a backoff; nothing to do unless the error lasts."""


class UncertainError(MessagingError):
    """It is unknown whether the effect happened. Check with the provider, then retry the delivery or leave it."""


class RetryLater(TransientError):
    """The attempt can't be made now. Nothing to do: another follows after `after` seconds, at most MAX_AFTER."""

    def __init__(self, message: str, after: float) -> None:
        super().__init__(message)
        self.after = float(min(after, MAX_AFTER)) if after > 0 else 0.0


class HandedBack(MessagingError):
    """The worker stopped before it started this delivery. Nothing to do: another worker will take it."""

    def __init__(self) -> None:
        super().__init__(self.__doc__)


class Unavailable(TransientError):
    """The server that the handler needs is away for every event. The rest of the message isn't tried until later."""


class ClaimLost(TransientError):
    """This attempt's claim ran out, and another attempt has claimed the effect. Nothing to do: it is tried again."""

    def __init__(self) -> None:
        super().__init__(self.__doc__)


class LedgerSlow(TransientError):
    """The effect ledger took longer than its claims last. Find out what slows down the consumer's database."""


class EffectHeld(UncertainError):
    """The effect may have happened. Check with the provider; retry the delivery to cause the effect (again)."""


class OperationRefused(MessagingError):
    """An operation that can't be carried out as it was requested. The message says why, and what can."""
