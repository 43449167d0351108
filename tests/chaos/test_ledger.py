"""The most telling rows of the fault ledger, small. `make chaos` is the whole of it."""

from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner

from chaos import trial
from chaos.cli import app
from chaos.faults import FAULTS
from chaos.ledger import Ledger
from chaos.servers import Servers
from chaos.trial import Plan
from chaos.without import GUARDS
from devstack.postgres import Postgres

SEED = 2026
TELLING = ("1", "2", "5-resend", "5-hold", "7", "12", "13", "14", "20", "24")
Try = Callable[[str, Plan], Ledger]


@pytest.fixture
def attempt(postgres: Postgres, tmp_path: Path) -> Try:
    """Try one row: `attempt("7", Plan(300, SEED))`."""
    rows = {f"{fault.number}{fault.variant}": fault for fault in FAULTS}
    return lambda row, plan: trial.run(rows[row], Servers(tmp_path, postgres), plan, lambda _: None)


@pytest.mark.parametrize("row", TELLING)
def test_no_effect_is_lost(row: str, attempt: Try) -> None:
    ledger = attempt(row, Plan(400, SEED))

    assert not ledger.wrong
    assert ledger.answered >= 400


@pytest.mark.parametrize("name", ["outbox"])
def test_a_ledger_without_a_guard_is_red(name: str, attempt: Try) -> None:
    guard = next(each for each in GUARDS if each.name == name)

    ledger = attempt(guard.row, guard.taken_away(Plan(400, SEED)))

    assert any("lost" in each for each in ledger.wrong)


def test_every_row_is_listed() -> None:
    listed = CliRunner().invoke(app, ["--list"])

    assert listed.exit_code == 0
    assert {int(line.split()[0]) for line in listed.stdout.splitlines()} == {*range(1, 25)}


@pytest.mark.parametrize("arguments", [["--fault", "99"], ["guards", "--guard", "luck"]])
def test_what_is_not_there_is_said_and_nothing_is_started(arguments: list[str]) -> None:
    refused = CliRunner().invoke(app, arguments)

    assert refused.exit_code == 1
    assert "there is no" in str(refused.exception or refused.output)
