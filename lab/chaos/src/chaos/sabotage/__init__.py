"""What the rig changes in one of Herald's processes, before it begins its work.

Orders travel in the environment variable CHAOS_ORDERS, several apart by spaces, each `kind:what[:how]`:

    kill:auditor.committed:17   die by SIGKILL, with everything in the process group, at the 17th passing of a point
    without:leases              work without a guard
    clock:600                   let the wall clock be 600 seconds fast
    poison:poison               die whenever the address of a welcome email begins so
    version:2                   know version 2 of user_registered as well: the upgraded consumer
    publisher:accounts-api      be the relay of a publisher of another name

An order that no longer finds what it should change fails loudly, so that no guard is ever "proven" by a typo.
"""

import os
import sys
from collections.abc import Sequence
from dataclasses import replace

from chaos.sabotage.errors import OrderUnknown
from devstack.herald import Command

VARIABLE = "CHAOS_ORDERS"
WORKERS = {"notifier.worker": "chaos.sabotage.notifier", "auditor.worker": "chaos.sabotage.auditor"}


def ordered(command: Command, orders: Sequence[str]) -> Command:
    """Return the command that starts the same process and lets it carry out orders, besides those it has."""
    if not orders:
        return command
    environment = dict(command.env)
    environment[VARIABLE] = " ".join([*environment.get(VARIABLE, "").split(), *orders])
    return replace(command, argv=_through_us(command.argv), env=environment)


def _through_us(argv: tuple[str, ...]) -> tuple[str, ...]:
    """Let the program begin in this package: as a module around users-api, as the module that Dramatiq imports."""
    if argv[0].endswith("users-api"):
        return (sys.executable, "-m", "chaos.sabotage", *argv[1:])
    return tuple(WORKERS.get(argument, argument) for argument in argv)


def carry_out() -> None:
    """Carry out the orders that this process was given."""
    for order in os.environ.get(VARIABLE, "").split():
        kind, _, what = order.partition(":")
        match kind:
            case "clock":
                from chaos.sabotage.clock import skew

                skew(float(what))
            case "kill":
                from chaos.sabotage.points import plant

                point, _, passings = what.partition(":")
                plant(point, int(passings))
            case "without":
                from chaos.sabotage.guards import take_away

                take_away(what)
            case "poison":
                from chaos.sabotage.events import poison

                poison(what)
            case "version":
                from chaos.sabotage.events import know_newer_version

                know_newer_version()
            case "publisher":
                import users_api

                users_api.PUBLISHER = what
            case _:
                raise OrderUnknown(order)
