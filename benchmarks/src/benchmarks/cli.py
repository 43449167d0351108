"""`herald-bench`: measure, report."""

import json
import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from benchmarks import machine, places
from benchmarks.run import PHASES, Plan, Run
from benchmarks.servers import own_servers
from benchmarks.systems import SYSTEMS
from benchmarks.table import show
from devstack.errors import DevstackError

app = typer.Typer(help="Herald and its peers, doing the same work on this machine.", no_args_is_help=False)


@app.callback(invoke_without_command=True)
def bench(  # noqa: PLR0913  # a command line's options
    context: typer.Context,
    only: Annotated[str, typer.Option(help="Systems, by commas: " + ", ".join(SYSTEMS))] = "",
    phase: Annotated[list[str] | None, typer.Option(help="burst, lag, idle or lost; all, if left out.")] = None,
    rounds: Annotated[int, typer.Option(min=1, help="Every system once in each.")] = 3,
    registrations: Annotated[int, typer.Option(min=10, help="In each burst.")] = 3000,
    output: Annotated[Path, typer.Option("--json", help="Where every raw figure goes.")] = places.RESULTS,
) -> None:
    """Measure all of them, or some."""
    if context.invoked_subcommand:
        return
    names = [name for name in only.split(",") if name] or list(SYSTEMS)
    phases = phase or list(PHASES)
    if unknown := [name for name in names if name not in SYSTEMS] + [each for each in phases if each not in PHASES]:
        sys.exit(f"error: unknown: {', '.join(unknown)}. Systems: {', '.join(SYSTEMS)}. Phases: {', '.join(PHASES)}")
    machine.hold_two_cores()
    console = Console()
    plan = Plan([SYSTEMS[name] for name in names], phases, rounds, registrations)
    try:
        with own_servers() as servers:
            results = Run(plan, servers, console).go()
    except DevstackError as error:
        sys.exit(f"error: {error}")
    output.write_text(json.dumps(results, indent=1) + "\n")
    show(results, console)
    console.print(f"Every figure: {output}", soft_wrap=True)
    if results["failed"]:
        sys.exit(f"Failed: {', '.join(results['failed'])}. Logs: {servers.directory}")
