"""Runs schemathesis against a running API: single requests first, then sequences of requests along links.

`HTTP_EXAMPLES` (40) is the number of examples for each operation, `HTTP_SEED` chooses other ones:

    HTTP_EXAMPLES=300 HTTP_SEED=7 .venv/bin/pytest tests/http_contract --log-cli-level=INFO
"""

import json
import os
import subprocess
import sys
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
CONFIGURATION = HERE / "schemathesis.toml"
EXAMPLES = int(os.environ.get("HTTP_EXAMPLES", "40"))
SEED = int(os.environ.get("HTTP_SEED", "19"))

LIMIT = 180 + 3 * EXAMPLES
"""In seconds: several times what an attack takes, so that a hanging API fails the tests rather than holding them."""

REPEAT = f"Once more: HTTP_EXAMPLES={EXAMPLES} HTTP_SEED={SEED} pytest tests/http_contract"

SINGLE = "examples,coverage,fuzzing"
SEQUENCES = "stateful"


@dataclass(frozen=True)
class Answer:
    """What a request was answered. `operation`: as schemathesis names it; a probe may use another method."""

    operation: str
    method: str
    status: int
    content_type: str


@dataclass(frozen=True)
class Attack:
    """How it went. `report`: schemathesis's own; `output`: what it printed."""

    report: dict[str, Any]
    answers: Counter[Answer]
    output: str


def attack(url: str, phases: str, examples: int, directory: Path) -> Attack:
    """Run phases of schemathesis. It finds its files in `directory`, and nothing of an earlier run.

    Raises:
        AssertionError: it isn't done after LIMIT seconds, or it ended without a report.
    """
    directory.mkdir()
    report, answers = directory / "report.json", directory / "answers"
    arguments = f"run {url}/openapi.json --phases {phases} --max-examples {examples} --seed {SEED} --no-color"
    files = f"--generation-database none --report json --report-json-path {report}"
    program = [str(Path(sys.executable).with_name("schemathesis")), "--config-file", str(CONFIGURATION)]
    hooks = {
        "SCHEMATHESIS_HOOKS": "hooks",
        "PYTHONPATH": str(HERE),
        "HTTP_ANSWERS": str(answers),
        "HTTP_PHASES": phases,
    }
    try:
        ran = subprocess.run(
            [*program, *arguments.split(), *files.split()],
            env={"PATH": os.environ["PATH"], "PYTHONIOENCODING": "utf-8", **hooks},
            cwd=directory,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            check=False,
            timeout=LIMIT,
        )
    except subprocess.TimeoutExpired as ended:
        output = (ended.output or b"").decode()
        raise AssertionError(f"no end after {LIMIT} seconds: does the API hang?\n{output}\n{REPEAT}") from None
    output = f"{ran.stdout.decode()}\n{REPEAT}"
    assert report.exists(), output
    lines = answers.read_text().splitlines()
    return Attack(json.loads(report.read_text()), Counter(Answer(*json.loads(line)) for line in lines), output)
