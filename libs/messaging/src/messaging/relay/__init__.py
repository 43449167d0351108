"""The relay: moves deliveries between PostgreSQL and Redis. Any number of relays may run; they share the work.

Each loop is a thread that does one round after another:
- `dispatch` enqueues due deliveries.
- `receive` applies the receipts of consumers, and `take over` those that a relay which died had read.
- `reconcile` finds deliveries whose messages got lost, and `sweep` messages that vanished from Redis.
- `schedule` makes the events of schedules.
- `operate` carries out what operators want done to all deliveries that a filter finds.
- `housekeep` deletes events whose deliveries are over.
"""

from messaging.relay.housekeep import Retention
from messaging.relay.main import RelaySettings, main
from messaging.relay.relay import run

__all__ = ["RelaySettings", "Retention", "main", "run"]
