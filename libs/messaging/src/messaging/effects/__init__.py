"""The effect ledger, for effects outside any database (mail, webhook, SMS). It causes each effect once.

`subscribe_once` claims effects in the ledger, calls a plain function for each, and records how the call ended. If it is
unknown whether an effect happened, the ledger says so.
"""

from messaging.effects.ledger import Ledger, Uncertain
from messaging.effects.once import subscribe_once

__all__ = ["Ledger", "Uncertain", "subscribe_once"]
