"""The command `herald-chaos`."""

import random
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from chaos import trial
from chaos.fault import Fault
from chaos.faults import FAULTS
from chaos.report import Proof, Reporter, Row, markdown
from chaos.servers import Servers, own_servers
from chaos.trial import Plan
from chaos.without import GUARDS, Guard
from devstack.errors import DevstackError

app = typer.Typer(add_completion=False)

Seed = Annotated[int | None, typer.Option(help="Decides every moment. Drawn and printed, if left out.", min=0)]
Registrations = Annotated[int, typer.Option(help="For each fault; slow ones take half.", min=20)]


@app.callback(invoke_without_command=True)
def ledger(  # noqa: PLR0913, PLR0917  # each is an option
    context: typer.Context,
    fault: Annotated[list[int] | None, typer.Option(help="Only this row; may be given again.")] = None,
    seed: Seed = None,
    registrations: Registrations = 5000,
    show: Annotated[bool, typer.Option("--list", help="List the faults, and try none.")] = False,
    table: Annotated[Path | None, typer.Option("--markdown", help="Write the ledger to this file too.")] = None,
) -> None:
    """Break a real Herald in twenty ways, and count what was lost.

    Starts its own servers in a temporary folder, which stays if anything is red. Ends with status 1 then.
    """
    if context.invoked_subcommand:
        return
    reporter = Reporter()
    chosen = _choose(fault)
    if show:
        for each in FAULTS:
            reporter.console.print(
                f"{each.number:>2}  {each.title}{f' ({each.absent})' if each.absent else ''}", soft_wrap=True
            )
        return
    plan = Plan(registrations, _drawn(seed))
    reporter.console.print(f"seed {plan.seed}, {registrations:,} registrations for each fault")
    with _servers(reporter) as servers:
        rows = [_try(each, servers, reporter, plan) for each in chosen]
        reporter.table(rows, f"The fault ledger, seed {plan.seed}")
        if table:
            table.write_text(markdown(rows))
        red = [row for row in rows if row.verdict == "RED"]
        _end(servers, f"{len(red)} of {len(rows)} rows are red" if red else "")


def _choose(numbers: Sequence[int] | None) -> list[Fault]:
    known = {each.number for each in FAULTS}
    if unknown := set(numbers or ()) - known:
        sys.exit(f"error: there is no fault {', '.join(map(str, sorted(unknown)))}. See: herald-chaos --list")
    return [each for each in FAULTS if not numbers or each.number in numbers]


@contextmanager
def _servers(reporter: Reporter) -> Iterator[Servers]:
    reporter.console.print("starting PostgreSQL ...")
    try:
        with own_servers() as servers:
            yield servers
    except DevstackError as error:
        sys.exit(f"error: {error}")


def _try(fault: Fault, servers: Servers, reporter: Reporter, plan: Plan) -> Row:
    if fault.absent:
        row = Row(fault, None)
    else:
        began = time.monotonic()
        with reporter.telling(f"{fault.number} {fault.title}") as tell:
            outcome = trial.run(fault, servers, plan, tell)
        row = Row(fault, outcome, time.monotonic() - began)
    reporter.row(row)
    return row


def _end(servers: Servers, fault: str) -> None:
    """End with status 1, and let the logs stay, if something is wrong."""
    if fault:
        servers.keep = True
        sys.exit(f"{fault}. Every log: {servers.directory}")


@app.command()
def guards(
    guard: Annotated[list[str] | None, typer.Option(help="Only this guard; may be given again.")] = None,
    seed: Seed = None,
    registrations: Annotated[int, typer.Option(help="For each trial.", min=20)] = 500,
) -> None:
    """Take away Herald's guards, one at a time: the ledger must be green with each, and red without it."""
    known = [each.name for each in GUARDS]
    if unknown := set(guard or ()) - set(known):
        sys.exit(f"error: there is no guard {', '.join(sorted(unknown))}. There are: {', '.join(known)}")
    reporter = Reporter()
    plan = Plan(registrations, _drawn(seed))
    reporter.console.print(f"seed {plan.seed}, {registrations:,} registrations for each trial")
    with _servers(reporter) as servers:
        proofs = [_prove(each, servers, reporter, plan) for each in GUARDS if not guard or each.name in guard]
        reporter.proofs(proofs, f"The guards, seed {plan.seed}")
        unproven = [proof for proof in proofs if not proof.proven]
        _end(servers, f"{len(unproven)} of {len(proofs)} guards are not proven" if unproven else "")


def _prove(guard: Guard, servers: Servers, reporter: Reporter, plan: Plan) -> Proof:
    reporter.console.print(f"{guard.name}: {guard.meaning}")
    fault = guard.fault
    return Proof(guard, _try(fault, servers, reporter, plan), _try(fault, servers, reporter, guard.taken_away(plan)))


def _drawn(seed: int | None) -> int:
    return random.SystemRandom().randrange(10**6) if seed is None else seed


@app.command()
def soak(
    minutes: Annotated[float, typer.Option(help="How long.", min=0.3)] = 10.0,
    per_second: Annotated[float, typer.Option(help="Registrations each second.", min=1)] = 30.0,
    seed: Seed = None,
    output: Annotated[
        Path | None, typer.Option(help="Directory for plot and samples; var/soak/<time> if left out.")
    ] = None,
) -> None:
    """Let a Herald run under load and faults, and see whether anything only ever grows. Status 1, if so.

    Finished events are kept for a sixth of the time, at most 90 s; RETENTION_DAYS=30 in the environment shows what red
    looks like.
    """
    from chaos import soak as soaking
    from chaos.soak import summary

    reporter, plan = Reporter(), soaking.Plan(60 * minutes, per_second, _drawn(seed))
    with _servers(reporter) as servers:
        with reporter.telling(f"soaking with seed {plan.seed}") as tell:
            outcome = soaking.run(plan, servers, tell)
        summary.show(outcome, reporter.console)
        for kept in summary.keep(outcome, output or Path("var/soak", time.strftime("%Y-%m-%d-%H%M%S"))):
            reporter.console.print(str(kept), soft_wrap=True)
        _end(servers, "; ".join(outcome.wrong))
        if outcome.ledger is None:
            sys.exit(130)  # Ctrl-C


@app.command()
def idle(seconds: Annotated[float, typer.Option(help="How long to look.", min=1)] = 60.0) -> None:
    """Measure what a Herald costs that has nothing to do."""
    from chaos import idle as idling

    reporter = Reporter()
    with _servers(reporter) as servers:
        with reporter.telling("idling") as tell:
            before, after = idling.measure(servers, seconds, tell)
        idling.show(before, after, reporter.console)
