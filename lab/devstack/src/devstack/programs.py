"""Where programs lie: beside the Python that runs us, whatever the PATH says."""

import sys
from pathlib import Path

PROGRAMS = Path(sys.executable).parent


def program(name: str) -> str:
    """Return the path of a program that is installed with us."""
    return str(PROGRAMS / name)
