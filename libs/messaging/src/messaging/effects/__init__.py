"""The effect ledger: effects outside any database (mail, webhook, SMS), each caused once, or honestly uncertain.

`subscribe_once` claims effects in the ledger, calls a plain function for each, and records how it ended.
"""

from messaging.effects.ledger import Ledger, Uncertain
from messaging.effects.once import subscribe_once

__all__ = ["Ledger", "Uncertain", "subscribe_once"]
