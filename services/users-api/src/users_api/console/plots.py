"""The last hour as plots: what is drawn, in units of a minute across and of a percent of the height upwards."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from users_api.console import words
from users_api.status.schemas import Minute, Moves

MINUTES = 60
LEAST = 2.0
"""Percent of the height that anything above zero has at least, so that it can be seen."""

SHORTEST, LONGEST = 0.01, 7200.0
"""Seconds at the lower and the upper end of the scale of lags, which is logarithmic. Longer lags aren't told apart."""


@dataclass(frozen=True, slots=True)
class Bar:
    """A rectangle: `x` minutes after the beginning, from `y` percent below the top. `kind`: what it stands for."""

    x: int
    y: float
    height: float
    kind: str


@dataclass(frozen=True, slots=True)
class Column:
    """What is drawn for one minute, and what it says."""

    text: str
    bars: list[Bar]


@dataclass(frozen=True, slots=True)
class Plot:
    """A plot. `top`: what its height stands for. `text`: what it shows, in words."""

    columns: list[Column]
    top: str
    text: str
    begin: datetime
    end: datetime


def throughput(minutes: Sequence[Minute], now: datetime) -> Plot:
    """Draw how many deliveries ended in each minute, and how many attempts will be repeated."""
    end, begin = _frame(now)
    minutes = [minute for minute in minutes if minute.minute >= begin]
    totals = [minute.succeeded + minute.failed + minute.uncertain + minute.retried for minute in minutes]
    top = _round_up(max(totals, default=0))
    columns = [_moves(minute, begin, top) for minute in minutes]
    busiest = max(zip(totals, minutes, strict=True), key=lambda pair: pair[0], default=None)
    text = f"{sum(totals):,} in the last hour"
    if busiest:
        text += f", at most {busiest[0]:,} in a minute, at {busiest[1].minute.astimezone(UTC):%H:%M} UTC"
    return Plot(columns, f"up to {top:,} a minute", text, begin, end)


def lags(minutes: Sequence[Minute], now: datetime) -> Plot:
    """Draw from when on a delivery was due until it succeeded: from the median to the 95th percentile."""
    end, begin = _frame(now)
    minutes = [minute for minute in minutes if minute.minute >= begin]
    timed = [minute for minute in minutes if minute.lag_mean is not None]
    top = max(max((_p95(minute) for minute in timed), default=1.0), 1.0)
    columns = [_lag(minute, begin, top) for minute in timed]
    slowest = max(timed, key=_p95, default=None)
    if slowest:
        text = f"in the slowest minute, {slowest.minute.astimezone(UTC):%H:%M} UTC, {took(slowest)}"
    else:
        text = f"{took(Moves(succeeded=sum(minute.succeeded for minute in minutes)))} in the last hour"
    scale = f"{words.duration(SHORTEST)} to {words.duration(top)}, logarithmic"
    return Plot(columns, f"each bar from the median to 95 %; {scale}", text, begin, end)


def took(moves: Moves) -> str:
    """Say how long it took from when deliveries were due until they succeeded.

    What an operator has retried or replayed has no lag; a quantile of None beside a mean is above LONGEST.
    """
    if moves.lag_mean is None:
        return "no lag: only what was retried or replayed by hand succeeded" if moves.succeeded else "nothing succeeded"
    if moves.lag_median is None:
        return f"at least half over {words.duration(LONGEST)}"
    slow = f"at least 5 % over {words.duration(LONGEST)}"
    slow = slow if moves.lag_p95 is None else f"95 % within {words.duration(moves.lag_p95)}"
    return f"half within {words.duration(moves.lag_median)}, {slow}"


def _p95(minute: Minute) -> float:
    return LONGEST if minute.lag_p95 is None else minute.lag_p95


def _frame(now: datetime) -> tuple[datetime, datetime]:
    end = now.replace(second=0, microsecond=0)
    return end, end - timedelta(minutes=MINUTES - 1)


def _moves(minute: Minute, begin: datetime, top: int) -> Column:
    counts = {
        "succeeded": minute.succeeded,
        "retrying": minute.retried,
        "uncertain": minute.uncertain,
        "failed": minute.failed,
    }
    x, y, bars = _x(minute, begin), 100.0, list[Bar]()
    for kind, count in counts.items():
        if count:
            height = max(100 * count / top, LEAST)
            y -= height
            bars.append(Bar(x, round(max(y, 0), 2), round(height, 2), kind))
    said = ", ".join(f"{count:,} {kind}" for kind, count in counts.items() if count)
    return Column(f"{minute.minute.astimezone(UTC):%H:%M}: {said}", bars)


def _lag(minute: Minute, begin: datetime, top: float) -> Column:
    upper = _log(_p95(minute), top)
    lower = _log(LONGEST if minute.lag_median is None else minute.lag_median, top)
    bar = Bar(_x(minute, begin), round(100 - upper, 2), round(max(upper - lower, LEAST * 2), 2), "lag")
    return Column(f"{minute.minute.astimezone(UTC):%H:%M}: {took(minute)}", [bar])


def _log(seconds: float, top: float) -> float:
    """Return the percent of the height of a lag."""
    return max(100 * math.log(max(seconds, SHORTEST) / SHORTEST) / math.log(top / SHORTEST), LEAST * 2)


def _x(minute: Minute, begin: datetime) -> int:
    return round((minute.minute - begin).total_seconds() / 60)


def _round_up(most: int) -> int:
    """Return the next number of 1, 2 or 5 and zeros, at least 5."""
    step = 10 ** max(len(str(most)) - 1, 0)
    return next(value for value in (5, step, 2 * step, 5 * step, 10 * step) if value >= max(most, 5))
