"""The test kit: test a handler or a publisher without servers. docs/testing.md shows how.

`deliver`, `deliver_group` and `deliver_once` call a handler as `subscribe`, `subscribe_group` and `subscribe_once`
would. An `Outbox` stands in for the connection on which a publisher executes `publish`.

Everything but PostgreSQL, Redis and Dramatiq is what production runs. tests/integration runs the same scenarios on the
kit and on the real parts.
"""

from messaging.testing.deliver import Delivered, deliver, deliver_group, deliver_once
from messaging.testing.ledger import MemoryLedger
from messaging.testing.outbox import Outbox, Published

__all__ = ["Delivered", "MemoryLedger", "Outbox", "Published", "deliver", "deliver_group", "deliver_once"]
