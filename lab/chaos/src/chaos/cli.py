"""The command `herald-chaos`."""

import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from chaos.fault import Fault
from chaos.faults import FAULTS
from chaos.report import Proof, Reporter, Row, markdown
from chaos.session import absence, attempt, drawn, end, session, writable
from chaos.trial import Plan
from chaos.without import GUARDS

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)

Seed = Annotated[int | None, typer.Option(help="Decides every moment. Drawn and printed, if left out.", min=0)]
Registrations = Annotated[int, typer.Option(help="For each fault; slow ones take half.", min=20, max=1_000_000)]


@app.callback(invoke_without_command=True)
def ledger(  # noqa: PLR0913, PLR0917  # each is an option
    context: typer.Context,
    fault: Annotated[list[int] | None, typer.Option(help="Only this row; may be given again.")] = None,
    seed: Seed = None,
    registrations: Registrations = 5000,
    show: Annotated[bool, typer.Option("--list", help="List the faults, and try none.")] = False,
    table: Annotated[Path | None, typer.Option("--markdown", help="Write the ledger to this file too.")] = None,
) -> None:
    """Inject each fault of the ledger into a real Herald, and count what was lost.

    Starts its own servers in a temporary folder, which stays if anything is red. Ends with status 1 then.
    """
    if context.invoked_subcommand:
        _nothing_given(context)
        return
    reporter = Reporter()
    chosen = _choose(fault)
    if show:
        for each in FAULTS:
            reason = f" ({absence(each)})" if absence(each) else ""
            reporter.console.print(f"{each.number:>2}  {each.title}{reason}", soft_wrap=True)
        return
    if all(map(absence, chosen)):
        sys.exit(f"error: there is nothing to try: {absence(chosen[0])}")
    if table:
        writable(table)
    _make_ledger(reporter, chosen, Plan(registrations, drawn(seed)), table)


def _make_ledger(reporter: Reporter, chosen: Sequence[Fault], plan: Plan, table: Path | None) -> None:
    """Try one fault after another, and show what there is, even if interrupted."""
    reporter.console.print(f"seed {plan.seed}, {plan.registrations:,} registrations for each fault")
    rows: list[Row] = []
    with session(reporter) as servers:
        try:
            for each in chosen:
                rows.append(attempt(each, servers, reporter, plan))  # noqa: PERF401  # what there is must outlive an interrupt
        finally:
            rest = "" if len(rows) == len(chosen) else f", interrupted after {len(rows)} of {len(chosen)} rows"
            reporter.table(rows, f"The fault ledger, seed {plan.seed}{rest}")
            if table:
                table.write_text(markdown(rows))
        red = [row for row in rows if row.verdict == "RED"]
        end(servers, f"{len(red)} of {len(rows)} rows are red" if red else "")


def _nothing_given(context: typer.Context) -> None:
    """Refuse options that stand before a subcommand: they would be ignored."""
    for name in context.params:
        source = context.get_parameter_source(name)
        if source is not None and source.name == "COMMANDLINE":
            raise typer.BadParameter(f"options of {context.invoked_subcommand} stand after its name", ctx=context)


def _choose(numbers: Sequence[int] | None) -> list[Fault]:
    known = {each.number for each in FAULTS}
    if unknown := set(numbers or ()) - known:
        sys.exit(f"error: there is no fault {', '.join(map(str, sorted(unknown)))}. See: herald-chaos --list")
    return [each for each in FAULTS if not numbers or each.number in numbers]


@app.command()
def guards(
    guard: Annotated[list[str] | None, typer.Option(help="Only this guard; may be given again.")] = None,
    seed: Seed = None,
    registrations: Annotated[int, typer.Option(help="For each trial.", min=20, max=1_000_000)] = 500,
) -> None:
    """Switch off Herald's guards, one at a time: the ledger must be green with each guard, and red without it."""
    known = [each.name for each in GUARDS]
    if unknown := set(guard or ()) - set(known):
        sys.exit(f"error: there is no guard {', '.join(sorted(unknown))}. There are: {', '.join(known)}")
    reporter = Reporter()
    plan = Plan(registrations, drawn(seed))
    reporter.console.print(f"seed {plan.seed}, {registrations:,} registrations for each trial")
    with session(reporter) as servers:
        proofs = []
        for each in (one for one in GUARDS if not guard or one.name in guard):
            reporter.console.print(f"{each.name}: {each.meaning}")
            rows = [attempt(each.fault, servers, reporter, which) for which in (plan, each.taken_away(plan))]
            proofs.append(Proof(each, *rows))
        reporter.proofs(proofs, f"The guards, seed {plan.seed}")
        unproven = [proof for proof in proofs if not proof.proven]
        end(servers, f"{len(unproven)} of {len(proofs)} guards are not proven" if unproven else "")


@app.command()
def soak(
    minutes: Annotated[float, typer.Option(help="How long.", min=0.3, max=100_000)] = 10.0,
    per_second: Annotated[float, typer.Option(help="Registrations each second.", min=1, max=10_000)] = 30.0,
    seed: Seed = None,
    output: Annotated[
        Path | None, typer.Option(help="Directory for plot and samples; var/soak/<time> if left out.")
    ] = None,
) -> None:
    """Run a Herald under load and faults, and check that nothing keeps growing. Status 1 if something does.

    Finished events are kept for a sixth of the time, at most 90 s; RETENTION_DAYS=30 in the environment shows what red
    looks like.
    """
    from chaos import soak as soaking
    from chaos.soak import summary

    reporter, plan = Reporter(), soaking.Plan(60 * minutes, per_second, drawn(seed))
    directory = output or Path("var/soak", time.strftime("%Y-%m-%d-%H%M%S"))
    writable(directory / "soak.png")
    with session(reporter) as servers:
        with reporter.progress(f"soaking with seed {plan.seed}") as progress:
            outcome = soaking.run(plan, servers, progress)
        summary.show(outcome, reporter.console)
        for kept in summary.keep(outcome, directory):
            reporter.console.print(str(kept), soft_wrap=True)
        reporter.console.print(outcome.in_words, soft_wrap=True)
        end(servers, "; ".join(outcome.wrong))
        if outcome.ledger is None:
            sys.exit(130)  # Ctrl-C
