"""The rule by which a series has levelled off, or grows.

1. A series is judged from when it can be level: a fifteenth of the run after its process was last started (its age
   counts, not the run's), a fifth of the run at the earliest; tables, once the retention and a round of housekeeping
   have passed.
2. What is left is cut into thirds. The floor of each is its 10th percentile: a saw-tooth comes back to its floor, and a
   backlog after a fault goes; what is never let go of lifts it.
3. It GROWS if the floor rises twice, each time by more than is noise for its kind (`chaos.soak.kinds`), and the second
   rise is at least half of the first. A step lifts the floor once; warming up rises by less each time.

It says "too short" where a third is too short to tell. It doesn't see growth below the noise: to see less, soak longer.
"""

from bisect import bisect_left
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from chaos.soak.kinds import RECORDS, SHOWN_ONLY, Kind, kind_of
from chaos.soak.recording import Points, Recording

RULE = (
    "Rule: each series is cut into thirds (from its process' last start, or since tables can be level); it GROWS\n"
    "if the floor (10th percentile) of each third is above that of the one before by more than noise, without\n"
    "slowing down. Too short: fewer than five samples in a third, or tables seen for less than a round and a half of\n"
    "housekeeping. A record grows by design: one row for each registration."
)
GROWS, LEVEL, RECORD, SHORT = "GROWS", "level", "a record", "too short"

WARM_UP = 1 / 5
"""Of the run: nothing is judged earlier."""

SETTLING = 1 / 15
"""Of the run: how long a process may need to find its size."""

SAMPLES = 5
"""A third with fewer is too short."""


@dataclass(frozen=True)
class Tables:
    """What tables live by: seconds that a row is kept, and between two rounds that remove what is older."""

    retention: float
    every: float = 60.0


@dataclass(frozen=True)
class Verdict:
    """What became of a series. `quarter`, `end`: the level about then. `floors`: those that were compared."""

    name: str
    quarter: float
    end: float
    floors: tuple[float, ...]
    verdict: str


def judge(recording: Recording, tables: Tables) -> list[Verdict]:
    """Judge every series that can be."""
    return [
        _judge(name, points, recording, tables)
        for name, points in sorted(recording.series.items())
        if name.partition("/")[0] not in SHOWN_ONLY
    ]


def growing(verdicts: Iterable[Verdict]) -> list[str]:
    """Name what grows."""
    return [each.name for each in verdicts if each.verdict == GROWS]


def _judge(name: str, points: Points, recording: Recording, tables: Tables) -> Verdict:
    end = recording.end
    begin = _level_from(name, recording, tables)
    thirds = _thirds(points, begin, end)
    floors = tuple(_floor(third) for third in thirds if third)
    if name in RECORDS:
        verdict = RECORD
    elif min(map(len, thirds)) < SAMPLES or (_is_table(name) and end - begin < 1.5 * tables.every):
        verdict = SHORT
    else:
        verdict = GROWS if grows(floors, kind_of(name)) else LEVEL
    return Verdict(name, _about(points, end / 4), _about(points, end), floors, verdict)


def grows(floors: Sequence[float], kind: Kind) -> bool:
    """Return whether three floors rise twice, by more than noise, and without slowing down."""
    first, second = floors[1] - floors[0], floors[2] - floors[1]
    noise = max(kind.slack, kind.share * abs(floors[0]))
    return first > noise and second > noise and second >= first / 2


def _is_table(name: str) -> bool:
    return name.startswith(("rows/", "size/"))


def _level_from(name: str, recording: Recording, tables: Tables) -> float:
    end = recording.end
    if _is_table(name):
        return tables.retention + tables.every
    since, of = kind_of(name).since, name.partition("/")[2]
    started = recording.starts
    last = max(started.values(), default=0.0) if since == "*" else started.get(of if since == "self" else since, 0.0)
    return max(last + SETTLING * end, WARM_UP * end)


def _thirds(points: Points, begin: float, end: float) -> list[list[float]]:
    edges = [bisect_left(points, (begin + (end - begin) * third / 3,)) for third in range(3)] + [len(points)]
    return [[value for _, value in points[edges[third] : edges[third + 1]]] for third in range(3)]


def _floor(values: list[float]) -> float:
    return sorted(values)[len(values) // 10]


def _about(points: Points, at: float) -> float:
    """Return the median of the five values that lie nearest to a moment."""
    nearest = sorted(points, key=lambda point: abs(point[0] - at))[:5]
    return sorted(value for _, value in nearest)[len(nearest) // 2]
