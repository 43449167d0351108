"""`herald`: what operators look at and do, from a terminal or a script.

It reads and writes the database of users-api (DATABASE_URL) by the same statements as the HTTP API, so it works while
the API is down. `herald status` and `herald doctor` look into Redis too (REDIS_URL).

Each command prints a table in a terminal, lines of tab-separated cells elsewhere, and with `--json` what the HTTP API
would answer.
"""

import os


def program() -> str:
    """Return what an operator types to run this program, for the hints that it prints."""
    return os.environ.get("HERALD_COMMAND", "herald")
