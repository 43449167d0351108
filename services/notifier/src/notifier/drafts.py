"""Mails that are composed before their turn, so that they can be announced."""

from collections.abc import Callable

from messaging import Delivery
from notifier.email import Mail

Compose = Callable[[Delivery], Mail]


class Drafts:
    """Composes mails with `compose`, and keeps the last one: each is composed once, though it is asked for twice."""

    def __init__(self, compose: Compose) -> None:
        self._compose = compose
        self._last: tuple[Delivery, Mail] | None = None

    def mail(self, delivery: Delivery) -> Mail:
        """Return a delivery's mail.

        Raises:
            Whatever composing it raises.
        """
        if self._last is None or self._last[0] is not delivery:
            self._last = delivery, self._compose(delivery)
        return self._last[1]

    def ahead(self, delivery: Delivery) -> Mail | None:
        """Return its mail; None, if there can't be one: when it is its turn that is told."""
        try:
            return self.mail(delivery)
        except Exception:  # raised again by `mail`
            return None
