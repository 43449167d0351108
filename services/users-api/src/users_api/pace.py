"""When a group commit sends a group, and how large the group is."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Pace:
    """How large groups are, and which requests are too late for one. Times are in seconds.

    Attributes:
        largest: the most members of one group, which take PostgreSQL a few milliseconds.
        at_once: if more requests than this wait, half of them form the next group. While PostgreSQL executes one half,
            this process writes the answers of the other half; in a single group, each would idle while the other works.
        crowded: if the oldest request has waited for longer, PostgreSQL is slow. Then up to `largest` form the group,
            so that none waits for two groups.
        reserve: a request with less time left isn't started: it might commit after its client was answered 503.
        stopping: the time for PostgreSQL to stop a request that took too long: then its 503 is certain.
    """

    largest: int = 100
    at_once: int = 16
    crowded: float = 0.02
    reserve: float = 0.1
    stopping: float = 0.3


USUAL = Pace()
