"""What happened to one event, on a time axis to scale: positions in percent of the axis, made by plain arithmetic.

The spans of a delivery are laid out by `users_api.console.stretches`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from messaging.publishing.states import DeliveryState
from users_api.console.chain_reading import Chain, ChainDelivery
from users_api.console.stretches import ATTEMPTS, Kind, Stretch, stretches
from users_api.console.ticks import Tick, ticks_of

_LEAST = 0.6
"""The narrowest span that is drawn, in percent: it can still be seen and pointed at."""

_END = 100.0


@dataclass(frozen=True, slots=True)
class Span:
    """A part of a lane, from `left` on, both in percent. `says`: what it is, and how long it took."""

    kind: Kind
    left: float
    width: float
    says: str

    @property
    def is_attempt(self) -> bool:
        """Whether it is drawn over its neighbours, so that a short attempt among long waits can be seen."""
        return self.kind in ATTEMPTS


@dataclass(frozen=True, slots=True)
class Lane:
    """The request, or one delivery with its state.

    `end`: where it ended. `beyond`: it goes on to the right of the axis.
    """

    name: str
    state: DeliveryState | None
    spans: Sequence[Span]
    end: float | None
    beyond: bool


@dataclass(frozen=True, slots=True)
class Chart:
    """The lanes of an event, from `begin` on. `now`: where the present is, if it is on the axis."""

    begin: datetime
    length: timedelta
    ticks: Sequence[Tick]
    lanes: Sequence[Lane]
    now: float | None


def chart(chain: Chain, length: timedelta | None = None) -> Chart:
    """Lay out an event. `length`: of the axis; without one it ends with the last that happened, or is due soon."""
    begin, now = chain.requested_at, chain.now
    length = length or _length(begin, now, chain.deliveries)
    place = _Scale(begin, length)
    request = Lane("request", None, [_span(place, Stretch("request", begin, chain.recorded_at))], None, False)
    at_now = place(now)
    lanes = [request, *(_lane(place, delivery, now) for delivery in chain.deliveries)]
    return Chart(begin, length, ticks_of(length), lanes, at_now if at_now <= _END else None)


@dataclass(frozen=True, slots=True)
class _Scale:
    """Where a time is on the axis, in percent; over 100, if it is beyond."""

    begin: datetime
    length: timedelta

    def __call__(self, time: datetime) -> float:
        return max(0.0, (time - self.begin) / self.length * 100)


def _length(begin: datetime, now: datetime, deliveries: Sequence[ChainDelivery]) -> timedelta:
    """Return how much to show: all that has happened, and what is due if that is as near."""
    past = max([begin, *(delivery.finished_at or now for delivery in deliveries)]) - begin
    past = max(past, timedelta(milliseconds=10))
    ahead = [delivery.due_at - begin for delivery in deliveries if delivery.due_at and delivery.due_at > now]
    return max([past, *(each for each in ahead if each <= 2 * past)]) * 1.04


def _lane(place: _Scale, delivery: ChainDelivery, now: datetime) -> Lane:
    spans = [
        _span(place, stretch)
        for stretch in stretches(delivery, now)
        if (stretch.end > stretch.start or stretch.kind in ATTEMPTS) and place(stretch.start) < _END
    ]
    end = place(delivery.finished_at) if delivery.finished_at else None
    last = delivery.finished_at or delivery.due_at or now
    return Lane(
        delivery.subscription,
        delivery.state,
        spans,
        end if end is not None and end <= _END else None,
        place(last) > _END,
    )


def _span(place: _Scale, stretch: Stretch) -> Span:
    left = place(stretch.start)
    width = max(_LEAST, min(place(stretch.end), _END) - left)
    left = min(left, _END - width)
    return Span(stretch.kind, round(left, 3), round(width, 3), stretch.says)
