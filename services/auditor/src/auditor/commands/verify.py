"""`auditor verify`."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from auditor.chain import verifying
from auditor.chain.checkpoints import Checkpoint, read_checkpoints
from auditor.chain.findings import Verified
from auditor.chain.keys import KeyUnusable, public_key
from auditor.commands.session import counted, database, end, progress_bar

TAMPERED, UNKNOWN = 1, 2
"""Exit statuses."""

BLIND = "Without checkpoints, a chain that was cut off at its end or computed anew can't be told from a good one."


def verify(
    checkpoints: Annotated[
        Path | None, typer.Option(envvar="AUDIT_CHECKPOINTS", help="The file of checkpoints, or a copy of it.")
    ] = None,
    key: Annotated[
        str | None, typer.Option("--public-key", envvar="AUDIT_PUBLIC_KEY", help="The key that signed them.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as one JSON object.")] = False,
) -> None:
    """Verify that no row of the log was changed. Exit status: 0 verified, 1 tampered with, 2 it can't be verified."""
    known = _checkpoints(checkpoints, key) if checkpoints else None
    warnings = [f"line {line} of {checkpoints} isn't a checkpoint" for line in known or () if isinstance(line, int)]
    heads = None if known is None else [each for each in known if isinstance(each, Checkpoint)]
    with database("verify", UNKNOWN) as connection, progress_bar("verifying", connection) as progress:
        result = verifying.verify(connection, heads, progress)
    result.warnings[:0] = warnings
    _print_verified(result, as_json)
    if result.finding:
        raise typer.Exit(TAMPERED)


def _checkpoints(path: Path, key: str | None) -> list[Checkpoint | int]:
    """Read the checkpoints before the log, so that the log reaches as far as each of them."""
    if not key:
        end(
            "verify",
            "set AUDIT_PUBLIC_KEY or give --public-key: the key that `auditor keygen` printed",
            UNKNOWN,
        )
    try:
        checkpoints = list(read_checkpoints(path, public_key(key)))
    except (OSError, KeyUnusable) as error:
        end("verify", str(error), UNKNOWN)
    forged = next((each for each in checkpoints if isinstance(each, Checkpoint) and not each.is_signed), None)
    if forged:
        remedy = "Give the key that signed it, or a copy of the file that is intact"
        end("verify", f"line {forged.line} of {path} isn't signed by this key. {remedy}.", UNKNOWN)
    return checkpoints


def _print_verified(result: Verified, as_json: bool) -> None:
    if as_json:
        fields = {"verdict": "tampered" if result.finding else "verified", **asdict(result)}
        typer.echo(json.dumps(fields, default=str))
        return
    for warning in result.warnings:
        typer.echo(f"warning: {warning}", err=True)
    typer.echo(_verdict(result))
    if result.checkpoints is None:
        typer.echo(BLIND, err=True)


def _verdict(result: Verified) -> str:
    if finding := result.finding:
        where = [f"event {finding.event_id}"] if finding.event_id else []
        where += [f"first row {finding.row_id}"] if finding.row_id and finding.kind in {"broken", "rewritten"} else []
        return f"TAMPERED ({finding.kind}): {finding.detail}" + (f" ({', '.join(where)})" if where else "")
    counts = f"{result.rows:,} rows in {result.seals:,} seals, {result.waiting:,} waiting, {result.erased:,} erased"
    if erasures := len(result.erasures):
        counts += f" by {counted(erasures, 'erasure')}"
    if result.checkpoints is None:
        return f"verified: {counts}"
    return f"verified: {counts}; {result.checkpoints:,} checkpoints, up to seal {result.checkpoint_seal:,}"
