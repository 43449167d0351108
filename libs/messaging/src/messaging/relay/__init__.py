"""The relay: moves deliveries between PostgreSQL and Redis. Any number may run; they share the work.

Its loops, each its own thread, each one round at a time: `dispatch` enqueues what is due, `receipts` applies what
consumers report, `take over` what they reported to a relay that died, `reconcile` finds what got lost, `sweep` what
vanished from Redis, `housekeep` forgets what is over.
"""

from messaging.relay.housekeep import Retention
from messaging.relay.relay import run

__all__ = ["Retention", "run"]
