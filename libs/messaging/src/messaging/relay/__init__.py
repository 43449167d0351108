"""The relay: moves deliveries between PostgreSQL and Redis. Any number may run; they share the work.

Three loops, each its own thread, each one round of `claim, send, record` at a time:
`dispatch` enqueues what is due, `receipts` applies what consumers report, `reconcile` finds what got lost.
"""

from messaging.relay.relay import run

__all__ = ["run"]
