"""schemathesis against a running users-api over PostgreSQL: does the API do what its document says?"""

import logging
import tomllib
from collections import Counter

import psycopg
import pytest
from schemathesis import checks
from tests.integration.api_process import users_api

from chaos import servers
from devstack.postgres import Postgres

from .attack import CONFIGURATION, EXAMPLES, SEED, SEQUENCES, SINGLE, Answer, Attack, attack
from .document import OPERATIONS, Operation

log = logging.getLogger(__name__)

FAR_IDS = "ALTER SEQUENCE users_id_seq RESTART 1000000000"
"""An id that schemathesis invents is never a user's, so the same choices have the same outcome whenever it makes them;
otherwise Hypothesis would end the sequences early."""

BY_LABEL = {operation.label: operation for operation in OPERATIONS.values()}


@pytest.fixture(scope="module")
def attacks(postgres: Postgres, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Attack]:
    """Both runs, each against an API with no users yet."""
    directory = tmp_path_factory.mktemp("attacks")

    def run(phases: str, examples: int) -> Attack:
        database = servers.new_database(postgres, "users")
        with psycopg.connect(database) as connection:
            connection.execute(FAR_IDS)
        with users_api(database) as api:
            return attack(f"http://127.0.0.1:{api.port}", phases, examples, directory / phases)

    return {SINGLE: run(SINGLE, EXAMPLES), SEQUENCES: run(SEQUENCES, EXAMPLES)}


@pytest.fixture
def answers(attacks: dict[str, Attack]) -> Counter[Answer]:
    """What was answered, and how often."""
    return sum((each.answers for each in attacks.values()), Counter[Answer]())


@pytest.mark.parametrize("phases", [SINGLE, SEQUENCES])
def test_every_check_passes(attacks: dict[str, Attack], phases: str) -> None:
    attacked = attacks[phases]

    assert attacked.report["exit_code"] == 0, attacked.output
    assert {attacked.report["phases"][phase]["status"] for phase in phases.split(",")} == {"success"}, attacked.output
    assert not attacked.report["test_cases"]["without_checks"]


def test_every_check_of_schemathesis_is_listed_and_every_one_that_is_off_has_a_reason() -> None:
    checks.load_all_checks()
    configuration = tomllib.loads(CONFIGURATION.read_text())
    listed, operations = configuration["checks"], configuration["operations"]

    assert set(listed) == set(checks.CHECKS.get_all_names())
    off = [line for line in CONFIGURATION.read_text().splitlines() if "enabled = false" in line]
    assert len(off) == sum(not each.get("enabled", True) for each in (*listed.values(), *operations))
    assert all(line.partition(" # ")[2] for line in off)


def test_every_answer_is_documented(answers: Counter[Answer]) -> None:
    """Said by other means than schemathesis, which doesn't look at all of them."""
    assert [answer for answer in answers if not _is_documented(answer)] == []
    assert not [answer for answer in answers if answer.status >= 500]


def test_every_operation_succeeded_and_registrations_often(
    attacks: dict[str, Attack], answers: Counter[Answer]
) -> None:
    cases = sum(each.report["test_cases"]["generated"] for each in attacks.values())
    log.info("seed %d: %d cases, %d answers", SEED, cases, answers.total())
    for operation in OPERATIONS.values():
        if operation.is_stream or operation is OPERATIONS["confirm_delivery"]:  # no request leaves anything uncertain
            continue
        statuses = _statuses(answers, operation)
        log.info("%s %s", operation.label, dict(sorted(statuses.items())))
        assert sum(number for status, number in statuses.items() if status < 300), operation.label
    registrations = _statuses(answers, OPERATIONS["create_user"])
    assert registrations[201] > 0.3 * registrations.total()
    assert registrations[409]
    assert registrations[422]


def _statuses(answers: Counter[Answer], operation: Operation) -> Counter[int]:
    statuses = Counter[int]()
    for answer, number in answers.items():
        if answer.operation == operation.label and answer.method == operation.method.upper():
            statuses[answer.status] += number
    return statuses


def _is_documented(answer: Answer) -> bool:
    operation = BY_LABEL[answer.operation]
    if answer.method != operation.method.upper():  # a probe: the document says this once, for all operations
        return (answer.status, answer.content_type) == (405, "application/problem+json")
    return answer.status in operation.statuses() and answer.content_type == operation.content(answer.status)[0]
