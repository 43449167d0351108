"""The path of installed programs: beside the running Python, whatever PATH is."""

import sys
from pathlib import Path

PROGRAMS = Path(sys.executable).parent


def program(name: str) -> str:
    """Return the path of a program in the same environment."""
    return str(PROGRAMS / name)
