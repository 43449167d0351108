"""The states of a delivery, and groups of them. docs/deliveries.md says what moves a delivery."""

from typing import Literal, get_args

DeliveryState = Literal["pending", "queued", "running", "retrying", "succeeded", "failed", "uncertain", "cancelled"]

STATES: tuple[DeliveryState, ...] = get_args(DeliveryState)

DUE: tuple[DeliveryState, ...] = ("pending", "retrying")
"""The delivery waits in PostgreSQL until `due_at`."""

IN_FLIGHT: tuple[DeliveryState, ...] = ("queued", "running")
"""Redis or a worker has the delivery's message; the delivery has a lease."""

UNFINISHED: tuple[DeliveryState, ...] = DUE + IN_FLIGHT

FINAL: tuple[DeliveryState, ...] = ("succeeded", "failed", "uncertain", "cancelled")
"""The delivery has ended. Only an operator moves it, with one exception: a late success moves a delivery that is
cancelled or uncertain, because its effect has happened."""

RETRYABLE: tuple[DeliveryState, ...] = ("failed", "uncertain", "cancelled")
"""The delivery has ended, and an operator may make it due again."""

DEAD: tuple[DeliveryState, ...] = ("failed", "uncertain")
"""The delivery ended without success. The index `deliveries_dead` holds exactly these, by the time when they ended."""

TROUBLED: tuple[DeliveryState, ...] = ("failed", "uncertain", "retrying")
"""The delivery's last attempt didn't succeed. The index `deliveries_troubled` holds exactly these."""
