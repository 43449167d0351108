"""One run: every system in turn, round after round, so that a slow minute of the machine hits all alike."""

import traceback
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from rich.console import Console

from benchmarks import burst, lag
from benchmarks.running import Running
from benchmarks.servers import Servers
from benchmarks.systems import System

PHASES = ("burst", "lag")


@dataclass(frozen=True)
class Plan:
    """What to measure."""

    systems: Sequence[System]
    phases: Sequence[str]
    rounds: int
    registrations: int


def run(plan: Plan, servers: Servers, console: Console) -> dict[str, Any]:
    """Measure everything; whatever fails is named, and the others go on. Ctrl-C returns what there is."""
    results: dict[str, Any] = {"systems": {}, "failed": {}}
    try:
        for number in range(plan.rounds):
            for system in plan.systems:
                _attempt(plan, system, servers, console, results, number)
    except KeyboardInterrupt:
        console.print("interrupted: what there is")
    return results


def _attempt(  # noqa: PLR0913
    plan: Plan, system: System, servers: Servers, console: Console, results: dict[str, Any], number: int
) -> None:
    title = f"round {number + 1} of {plan.rounds}: {system.title}"
    try:
        with console.status(title) as status, servers.system(system) as running:
            measured = _measure(plan, running, lambda phase: status.update(f"{title}: {phase}"))
    except Exception as error:  # noqa: BLE001  # whatever it is: the others are worth having
        servers.keep = True
        results["failed"][system.name] = str(error) or traceback.format_exc()
        console.print(f"{title}: [red]failed[/]: {error}", soft_wrap=True)
        return
    results["systems"].setdefault(system.name, {"title": system.title, "rounds": []})["rounds"].append(measured)
    console.print(f"{title}: {_in_words(measured)}", soft_wrap=True)


def _measure(plan: Plan, running: Running, tell: Any) -> dict[str, Any]:
    measured: dict[str, Any] = {}
    if "burst" in plan.phases:
        tell("burst")
        measured["burst"] = burst.measure(running, plan.registrations)
    if "lag" in plan.phases and running.system.effects:
        tell("lag")
        measured["lag"] = lag.measure(running)
    return measured


def _in_words(measured: dict[str, Any]) -> str:
    words = []
    if each := measured.get("burst"):
        words.append(f"{each['posts']:,.0f} POST/s")
        if each["processed"]:
            words.append(f"{each['processed']:,.0f} processed/s")
    if each := measured.get("lag"):
        words.append(f"mail after {1000 * each['steady']['mail']['p50']:.1f} ms")
    return ", ".join(words)
