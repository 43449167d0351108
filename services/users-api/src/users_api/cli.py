"""The command line of users-api. What runs for months is started without what only operators' commands need."""

import sys

from users_api import processes

PROCESSES = {"serve": processes.serve, "relay": processes.relay}


def app() -> None:
    """Run the command that the arguments name."""
    match sys.argv[1:]:
        case [name] if name in PROCESSES:
            PROCESSES[name]()
        case _:
            from users_api.commands import app as commands

            commands()
