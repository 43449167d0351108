"""The samples of a system over time."""

import time
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field

Points = list[tuple[float, float]]


@dataclass(frozen=True)
class Mark:
    """A fault. `at`: seconds since the beginning. `kind`: its name in the rig."""

    at: float
    kind: str


@dataclass
class Recording:
    """Series of (seconds since the beginning, value), the faults, and when each process was started."""

    began: float = field(default_factory=time.monotonic)
    series: dict[str, Points] = field(default_factory=lambda: defaultdict(list))
    marks: list[Mark] = field(default_factory=list)
    starts: dict[str, float] = field(default_factory=dict)

    @property
    def now(self) -> float:
        """Seconds since the beginning."""
        return time.monotonic() - self.began

    @property
    def end(self) -> float:
        """When the last sample was taken."""
        return max((points[-1][0] for points in self.series.values()), default=0.0)

    def add(self, at: float, values: Mapping[str, float]) -> None:
        """Note one sample of some series."""
        for name, value in values.items():
            self.series[name].append((round(at, 2), round(value, 3)))

    def mark(self, kind: str) -> None:
        """Note that a fault begins."""
        self.marks.append(Mark(round(self.now, 2), kind))

    def started(self, name: str) -> None:
        """Note that a process was started again."""
        self.starts[name] = self.now
