"""How to soak."""

import os
from dataclasses import dataclass

from chaos.soak.judgement import Tables

DAY = 86_400


@dataclass(frozen=True)
class Plan:
    """How long, under what load, and how often something happens (seconds between two faults)."""

    seconds: float
    per_second: float
    seed: int
    pause: tuple[float, float] = (15.0, 25.0)

    @property
    def retention(self) -> float:
        """Seconds that finished events are kept: as the environment's RETENTION_DAYS says; else a sixth of the run."""
        days = os.environ.get("RETENTION_DAYS")
        return float(days) * DAY if days else self.tables.retention

    @property
    def tables(self) -> Tables:
        """When tables must be level: by what this plan would keep, whatever the environment lets Herald keep."""
        return Tables(min(90.0, self.seconds / 6))
