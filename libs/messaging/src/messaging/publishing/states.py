"""The states of a delivery, named here and nowhere else in Python. What moves it: docs/deliveries.md."""

from typing import Literal, get_args

DeliveryState = Literal["pending", "queued", "running", "retrying", "succeeded", "failed", "uncertain", "cancelled"]

STATES: tuple[DeliveryState, ...] = get_args(DeliveryState)

DUE: tuple[DeliveryState, ...] = ("pending", "retrying")
"""It waits in PostgreSQL until `due_at`."""

IN_FLIGHT: tuple[DeliveryState, ...] = ("queued", "running")
"""Redis or a worker has it; it has a lease."""

UNFINISHED: tuple[DeliveryState, ...] = DUE + IN_FLIGHT

FINAL: tuple[DeliveryState, ...] = ("succeeded", "failed", "uncertain", "cancelled")
"""It has ended. Only an operator moves it; and a late success moves what was cancelled, for the effect is there."""

OVER: tuple[DeliveryState, ...] = ("succeeded", "cancelled")
"""Nobody needs to look at it again: it goes with its event when the retention has passed."""
