"""What `GET /status` says. Times are the database's; seconds are seconds."""

from datetime import datetime
from uuid import UUID

from pydantic import BaseModel, Field

from messaging.publishing.searching import Total
from messaging.publishing.states import DeliveryState


class Moves(BaseModel):
    """How many deliveries were moved in a time. `retried`: attempts that are followed by another.

    `lag_*`: seconds from when a delivery was first due until it succeeded; null without any: what an operator has
    retried or replayed has no lag. `lag_median` and `lag_p95` are upper bounds, of the bucket that they are in; null
    beside a `lag_mean` means over two hours.
    """

    succeeded: int = 0
    failed: int = 0
    uncertain: int = 0
    retried: int = 0
    lag_mean: float | None = None
    lag_median: float | None = None
    lag_p95: float | None = None


class Minute(Moves):
    """The moves of one minute. A minute without any is left out."""

    minute: datetime


class LastError(BaseModel):
    """The newest error of a delivery that failed, is uncertain or is tried again."""

    text: str
    state: DeliveryState
    at: datetime


class Running(BaseModel):
    """A delivery that a worker is working on. `started_at`: since when, by the worker's report."""

    event_id: UUID
    subject: str
    started_at: datetime


class SubscriptionStatus(BaseModel):
    """One effect. What users-api knows of its provider, such as a mail server, is what is said here of its deliveries.

    `states`: how many deliveries are in each; what isn't `exact` is what a relay counted at `counted_at`, or more.
    `declared`: false for a subscription that was renamed or removed; no relay takes its deliveries. `oldest_seconds`:
    how long ago the oldest unfinished delivery was first due; retries belong to that time. `overdue_seconds`: for how
    long the oldest has been late: since it was due or queued, or since its time limit. `longest_running`: up to three
    deliveries that a worker is working on, the one that began first in front.
    """

    name: str
    service: str | None
    declared: bool
    states: dict[DeliveryState, Total]
    oldest_seconds: float
    overdue_seconds: float
    longest_running: list[Running]
    last_succeeded_at: datetime | None = Field(description="The minute; null, if none succeeded in the last hour.")
    last_error: LastError | None
    hour: Moves
    minutes: list[Minute]


class PostgresStatus(BaseModel):
    """The database of users-api. `connections`: of all databases of the server."""

    version: str
    connections: int
    max_connections: int
    database_bytes: int


class QueueStatus(BaseModel):
    """A queue. `waiting`: messages that no worker has taken. `messages`: these, and those that workers hold."""

    queue: str
    waiting: int
    messages: int


class WorkerStatus(BaseModel):
    """A worker process. `alive`: whether it sends heartbeats. `holds`: how many messages it has taken, by queue."""

    worker: str
    alive: bool
    holds: dict[str, int]


class RelayStatus(BaseModel):
    """A relay process. `failing`: what it can't do at the moment, with the error, by the name of the loop."""

    publisher: str
    relay: str
    alive: bool
    up_seconds: float | None
    failing: dict[str, str]


class RedisStatus(BaseModel):
    """The transport. If `fault` isn't null it couldn't be looked at; the other values are empty then.

    `receipts`: entries that no relay has applied yet.
    """

    fault: str | None = None
    version: str | None = None
    used_bytes: int | None = None
    max_bytes: int | None = Field(default=None, description="0 means no limit.")
    policy: str | None = Field(default=None, description="`noeviction`, or Redis may delete messages when it is full.")
    receipts: int | None = None
    queues: list[QueueStatus] = []
    workers: list[WorkerStatus] = []
    relays: list[RelayStatus] = []


class Status(BaseModel):
    """How everything is doing at `time`.

    `counted_at`: when a relay made the counts that aren't exact; null if none has counted: then they are lower bounds.
    `unqueued_seconds`: for how long the oldest delivery that no relay has put into its queue has been due.
    """

    time: datetime
    counted_at: datetime | None
    unqueued_seconds: float
    subscriptions: list[SubscriptionStatus]
    postgresql: PostgresStatus
    redis: RedisStatus
