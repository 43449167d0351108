"""`dramatiq chaos.sabotage.notifier`: the notifier's worker, with orders."""

from chaos.sabotage import carry_out

carry_out()

from notifier.worker import *  # noqa: E402, F403  # only now: what it imports is changed
