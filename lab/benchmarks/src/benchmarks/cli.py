"""`herald-bench`: measure, summarise, report."""

import json
import signal
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from benchmarks import machine, places
from benchmarks.errors import BenchmarkError
from benchmarks.places import PEERS_PYTHON
from benchmarks.report import render
from benchmarks.run import Plan, Run
from benchmarks.servers import Servers, own_servers
from benchmarks.summary import summarise, write
from benchmarks.systems import PHASES, SYSTEMS
from benchmarks.table import show
from devstack.errors import DevstackError
from devstack.redis_server import best_program

MOST = 1_000_000
"""Registrations: the load client keeps a record of each."""

app = typer.Typer(help="Herald and its peers, doing the same work on this machine.", no_args_is_help=False)


@app.callback(invoke_without_command=True)
def bench(  # noqa: PLR0913, PLR0917  # a command line's options
    context: typer.Context,
    only: Annotated[str, typer.Option(help="Systems, by commas: " + ", ".join(SYSTEMS))] = "",
    phase: Annotated[list[str] | None, typer.Option(help="By commas: burst, lag, idle, lost.")] = None,
    rounds: Annotated[int, typer.Option(min=1, max=1000, help="Every system once in each.")] = 3,
    registrations: Annotated[int, typer.Option(min=10, max=MOST, help="In each burst.")] = 3000,
    output: Annotated[Path, typer.Option("--json", help="Where all raw samples go.")] = places.RAW,
) -> None:
    """Measure all of them, or some."""
    if context.invoked_subcommand:
        return
    names = [name for name in only.split(",") if name] or list(SYSTEMS)
    phases = [word for words in phase or PHASES for word in words.split(",")]
    _refuse_unknown(names, SYSTEMS, "Systems")
    _refuse_unknown(phases, PHASES, "Phases")
    console = Console()
    plan = Plan([SYSTEMS[name] for name in names], phases, rounds, registrations)
    with _measuring(names) as servers:
        results = Run(plan, servers, console).go()
    output.parent.mkdir(parents=True, exist_ok=True)
    output.write_text(json.dumps(results, indent=1) + "\n")
    show(summarise(results), console)
    console.print(f"Raw samples: {output}", soft_wrap=True)
    if results.get("interrupted"):
        sys.exit(130)
    if results["failed"]:
        sys.exit(f"Failed: {', '.join(results['failed'])}. Logs: {servers.directory}")


@app.command()
def report(
    raw: Annotated[Path | None, typer.Option("--json", help="Summarise the raw samples of a run first.")] = None,
) -> None:
    """Render the table of docs/performance.md from the summary, lab/benchmarks/results.json."""
    if raw and not raw.exists():
        sys.exit(f"error: no {raw}. Measure first: make bench")
    if raw:
        write(summarise(json.loads(raw.read_text())), places.SUMMARY)
    try:
        render(json.loads(places.SUMMARY.read_text()), places.PAGE)
    except BenchmarkError as error:
        sys.exit(f"error: {error}")
    typer.echo(places.PAGE)


@app.command()
def profile(
    system: Annotated[str, typer.Option(help="Which one.")] = "herald",
    registrations: Annotated[int, typer.Option(min=10, max=MOST, help="In the burst.")] = 20_000,
    output: Annotated[Path, typer.Option(help="Directory for what py-spy writes.")] = Path("var/profile"),
    flamegraph: Annotated[bool, typer.Option(help="Draw SVGs, instead of printing tables.")] = False,
) -> None:
    """Show where a system's CPU goes in a burst: the top functions of each process, by py-spy."""
    from benchmarks import profile as profiling

    console = Console()
    _refuse_unknown([system], SYSTEMS, "Systems")
    output.mkdir(parents=True, exist_ok=True)
    form = "flamegraph" if flamegraph else "raw"
    with _measuring([system]) as servers, servers.system(SYSTEMS[system]) as running:
        files = profiling.record(running, registrations, output, form)
    for name, path in files.items():
        if not flamegraph:
            profiling.show(name, profiling.read(path), console)
        console.print(str(path), soft_wrap=True)


@app.command()
def history(
    deliveries: Annotated[
        int, typer.Option(min=1000, max=MOST**2, help="Finished ones to fill the tables with.")
    ] = 10_000_000,
    registrations: Annotated[int, typer.Option(min=10, max=MOST, help="In each burst.")] = 3000,
    output: Annotated[Path | None, typer.Option("--json", help="Where the figures go.")] = None,
) -> None:
    """Show whether Herald's cost grows with history: a burst on empty tables, and one on full ones."""
    from benchmarks import history as past

    console = Console()
    with _measuring(["herald"]) as servers, servers.system(SYSTEMS["herald"]) as running:
        with console.status("a burst on empty tables"):
            before = past.measure(running, registrations, "empty")
        console.print(f"filled in {past.fill(running, deliveries, console):.0f} s")
        with console.status("a burst on full ones"):
            after = past.measure(running, registrations, "full")
    past.show(before, after, deliveries, console)
    if output:
        output.write_text(json.dumps({"deliveries": deliveries, "empty": before, "full": after}, indent=1) + "\n")


@app.command("console")
def console_costs(
    deliveries: Annotated[
        int, typer.Option(min=1000, max=MOST**2, help="Finished ones to fill the tables with.")
    ] = 10_000_000,
    errors: Annotated[str, typer.Option(help="Numbers of different errors, by commas.")] = "7,3000",
    viewers: Annotated[int, typer.Option(min=0, max=100, help="How many have the overview open.")] = 5,
    seconds: Annotated[float, typer.Option(min=1, max=3600, help="Of each look at them.")] = 60,
    output: Annotated[Path | None, typer.Option("--json", help="Where the figures go.")] = None,
) -> None:
    """Show how long the console's pages take in a long history, and what it costs to have one open."""
    from benchmarks import failures, pages
    from benchmarks import history as past
    from benchmarks import viewers as looking

    console = Console()
    with _measuring(["herald"]) as servers, servers.system(SYSTEMS["herald"]) as running:
        database_url = running.place.databases["users"]
        console.print(f"the first page of a process: {pages.load(running.place.port):.0f} ms")
        console.print(f"filled in {past.fill(running, deliveries, console):.0f} s")
        failures.fail(database_url)
        measured = {}
        for number in map(int, errors.split(",")):
            failures.name(database_url, number)
            measured[number] = pages.measure(running.place.port, database_url)
        pages.show(measured, console)
        with console.status("an open console"):
            open_ = [looking.measure(running, number, seconds) for number in (0, viewers) * 2]
        looking.show(open_, console)
    if output:
        output.write_text(json.dumps({"deliveries": deliveries, "pages": measured, "open": open_}, indent=1) + "\n")


@app.command("audit")
def audit_costs(
    rows: Annotated[int, typer.Option(min=1000, max=100 * MOST, help="In the log.")] = 1_000_000,
) -> None:
    """Show what a long audit log costs to seal, verify and export, and whether memory grows with it."""
    from benchmarks import audit
    from chaos.servers import new_database

    console = Console()
    with _measuring(["herald"]) as servers:
        costs = []
        for cost in audit.measure(new_database(servers.postgres, "auditor"), rows, servers.directory):
            console.print(f"{cost.what}, {cost.rows:,} rows: {cost.seconds:.1f} s")
            costs.append(cost)
    audit.show(costs, console)


def _refuse_unknown(names: Iterable[str], known: Iterable[str], what: str) -> None:
    if unknown := [name for name in names if name not in known]:
        sys.exit(f"error: unknown: {', '.join(unknown)}. {what}: {', '.join(known)}")


@contextmanager
def _measuring(names: list[str]) -> Iterator[Servers]:
    """Lend servers on two cores; end with one line that says what is wrong."""
    if best_program() is None:
        sys.exit("error: this needs a real redis-server (6.2 or newer)")
    if not PEERS_PYTHON.exists() and not all(SYSTEMS[name].is_herald for name in names):
        sys.exit("error: the peers aren't installed. Install them: make .venv-bench/.installed")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    machine.hold_two_cores()
    try:
        with own_servers() as servers:
            yield servers
    except KeyboardInterrupt:
        sys.exit(130)
    except (DevstackError, BenchmarkError) as error:
        sys.exit(f"error: {error}")
