"""What a handler raises to say how its attempt ended. Any other exception is a bug or a lapse: logged, tried again."""

import psycopg

MAX_AFTER = 30 * 86_400.0
"""Seconds: the longest delay that a handler may ask for."""


class MessagingError(Exception):
    """Herald's messaging can't go on. The message says what to do."""


class ConfigurationError(MessagingError):
    """A setting is missing or wrong. Set the environment variable that the message names."""


class DatabaseUnsuitable(MessagingError, psycopg.OperationalError):
    """Herald can't work with this database, or with what stands before it. Mend what the message names."""


class PermanentError(MessagingError):
    """Trying again can't help. The delivery is failed at once; mend the cause, then retry it."""


class TransientError(MessagingError):
    """The attempt failed, and another may succeed. It is made after a backoff; nothing to do unless that lasts."""


class UncertainError(MessagingError):
    """Nobody can know whether the effect happened. Look for yourself, then retry the delivery or leave it."""


class RetryLater(TransientError):
    """The attempt can't be made now. Nothing to do: it is tried again after `after` seconds, at most 30 days."""

    def __init__(self, message: str, after: float) -> None:
        super().__init__(message)
        self.after = float(min(after, MAX_AFTER)) if after > 0 else 0.0


class HandedBack(MessagingError):
    """The worker stopped before it started this delivery. Nothing to do: another worker takes it."""

    def __init__(self) -> None:
        super().__init__(self.__doc__)


class Unavailable(TransientError):
    """What the handler talks to is away for every event. The rest of the message is tried again later, untried now."""


class ClaimLost(TransientError):
    """Another attempt has claimed this effect, because this one's claim ran out. Nothing to do: it is tried again."""

    def __init__(self) -> None:
        super().__init__(self.__doc__)


class LedgerSlow(TransientError):
    """The effect ledger took longer than its claims last. See what holds up the consumer's database."""


class EffectHeld(UncertainError):
    """The effect may have happened. Look at the provider; retry the delivery to cause it (again)."""
