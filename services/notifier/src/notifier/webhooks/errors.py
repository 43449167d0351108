"""How calling a webhook fails, and what to do then. The bases are messaging's errors, which decide what happens next.

A webhook is at least once: receivers know a repetition by its `webhook-id`. So a call that may have arrived and wasn't
answered is tried again like any other failure, and none of these errors says that the effect is uncertain. Messages
repeat neither WEBHOOK_URL, which may hold a token, nor what identifies the user.
"""

from messaging.errors import PermanentError, RetryLater, TransientError, Unavailable


class NotTaken(TransientError):
    """The endpoint didn't answer this call with success. It is called again; if that lasts, see the endpoint's log."""


class EndpointAway(Unavailable, NotTaken):
    """The endpoint takes no call at present. All calls wait for it; if that lasts, check WEBHOOK_URL."""


class EndpointBusy(EndpointAway, RetryLater):
    """The endpoint asks to be called later. All calls wait; nothing to do."""

    def __init__(self, message: str, after: float) -> None:
        RetryLater.__init__(self, message, after)


class EndpointRefused(Unavailable):
    """WEBHOOK_URL leads to an address that isn't public. If it is yours, set WEBHOOK_ALLOW_PRIVATE=yes."""


class EndpointGone(PermanentError):
    """The endpoint is disabled, because it answered 410 Gone. See: notifier webhook status."""
