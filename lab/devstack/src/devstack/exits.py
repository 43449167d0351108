"""How a process ended, in words: its exit status, and the last error that it printed."""

import re
import signal
from collections.abc import Sequence
from itertools import pairwise

from devstack.errors import Misconfigured

LONGEST = 300
"""Characters of an error that are repeated; the rest is in the process's own lines."""

CONFIGURATION = "configuration: "
"""How the line begins with which a program ends whose settings are wrong."""

_RAISED = re.compile(r"([A-Za-z_]\w*\.)*[A-Z]\w*(: |:?$)")
"""The line that ends a traceback: `module.SomeError: what happened`."""

_PLACE = re.compile(r'\s+File "(?P<file>.+)", line (?P<line>\d+)')

_COMPLAINT = re.compile(r"\b(error|fatal|critical|panic|exception|configuration:)", re.IGNORECASE)


def ending(returncode: int | None) -> str:
    """Describe an exit status, as a predicate: "exited with status 1", "was killed by SIGKILL"."""
    if returncode is None:
        return "ended"
    if returncode >= 0:
        return f"exited with status {returncode}"
    try:
        return f"was killed by {signal.Signals(-returncode).name}"
    except ValueError:
        return f"was killed by signal {-returncode}"


def wrong_setting(returncode: int | None, lines: Sequence[str]) -> str | None:
    """Return a program's error about its settings, if it ended because of them. To start it again would be useless."""
    faults = [line.removeprefix(CONFIGURATION) for line in lines if line.startswith(CONFIGURATION)]
    return faults[-1] if faults and returncode == Misconfigured.status else None


def last_error(lines: Sequence[str]) -> str:
    """Find the last error in a process's output: an exception, else a line that names an error, else the last line."""
    said = [line for line in lines if line.strip()]
    raised = [line for before, line in pairwise(said) if before[0] == " " and _RAISED.match(line)]
    complaints = [line for line in said if _COMPLAINT.search(line)]
    found = (raised or complaints or said or [""])[-1].strip()
    where = _place(said) if raised else ""
    return (found if len(found) <= LONGEST else found[:LONGEST] + " ...") + where


def _place(said: Sequence[str]) -> str:
    """Return where the last exception was raised: the last file and line that a traceback names."""
    places = [match for line in said if (match := _PLACE.match(line))]
    return f" ({places[-1]['file'].rpartition('/')[2]}, line {places[-1]['line']})" if places else ""
