"""The rule that says what grows, the picture, and a soak of seconds. `make soak` is the real one."""

import json
import math
import random
from collections.abc import Callable
from pathlib import Path

import pytest

from chaos.ledger import Ledger
from chaos.servers import Servers
from chaos.soak import Outcome, Plan, run, summary
from chaos.soak.judgement import GROWS, LEVEL, RECORD, SHORT, Tables, growing, judge
from chaos.soak.recording import Mark, Recording
from devstack.postgres import Postgres

SECONDS = 600.0
TABLES = Tables(retention=90)
Shape = Callable[[float], float]


def recorded(name: str, shape: Shape, *, seconds: float = SECONDS, seed: int = 1, noise: float = 0.0) -> Recording:
    """Sample a shape every two seconds, with noise."""
    dice = random.Random(seed)
    recording = Recording()
    for step in range(round(seconds / 2)):
        recording.add(2.0 * step, {name: shape(2.0 * step) + dice.gauss(0, noise)})
    return recording


def verdict(recording: Recording) -> str:
    [judged] = judge(recording, TABLES)
    return judged.verdict


def saw(at: float) -> float:
    """30 rows a second, kept for 90 s, removed once a minute."""
    return 30 * (at if at < 90 else 90 + at % 60)


@pytest.mark.parametrize("seed", range(10))
@pytest.mark.parametrize(
    ("name", "level", "noise"),
    [("memory/relay", 50, 0.7), ("redis/used", 2, 0.1), ("waiting/messages", 20, 15), ("size/events", 10, 0.3)],
)
def test_flat_with_noise_is_level(name: str, level: float, noise: float, seed: int) -> None:
    assert verdict(recorded(name, lambda _: level, seed=seed, noise=noise)) == LEVEL


@pytest.mark.parametrize("seed", range(10))
@pytest.mark.parametrize(
    ("name", "level", "each_minute", "noise"),
    [
        ("memory/relay", 50, 2, 0.5),
        ("files/notifier", 30, 2, 0),
        ("threads/users-api", 10, 2, 0),
        ("connections/herald-api", 3, 2, 0),
        ("redis/used", 2, 0.3, 0.05),
        ("keys/all keys", 9, 3, 1),
        ("waiting/receipts", 2, 60, 5),
        ("rows/events", 3000, 300, 20),
        ("size/events", 3, 0.5, 0.02),
    ],
)
def test_linear_growth_is_found(name: str, level: float, each_minute: float, noise: float, seed: int) -> None:
    recording = recorded(name, lambda at: level + each_minute * at / 60, seed=seed, noise=noise)

    assert verdict(recording) == GROWS
    assert growing(judge(recording, TABLES)) == [name]


def test_a_saw_tooth_is_level() -> None:
    assert verdict(recorded("rows/events", saw)) == LEVEL


@pytest.mark.parametrize("phase", range(0, 60, 7))
@pytest.mark.parametrize("seconds", [240, 300, 600])
def test_a_saw_tooth_is_level_wherever_its_teeth_are(phase: int, seconds: int) -> None:
    recording = recorded("rows/events", lambda at: 3000 + 30 * ((at + phase) % 60), seconds=seconds)

    [judged] = judge(recording, Plan(seconds, 30, 1).tables)

    assert judged.verdict == LEVEL


def test_a_saw_tooth_that_keeps_a_tenth_of_what_it_should_remove_grows() -> None:
    assert verdict(recorded("rows/events", lambda at: saw(at) + 3 * max(0, at - 90))) == GROWS


@pytest.mark.parametrize("share", [0.3, 0.5, 0.7, 0.9])
def test_a_step_and_then_flat_is_level(share: float) -> None:
    assert verdict(recorded("memory/relay", lambda at: 50 if at < share * SECONDS else 90, noise=0.3)) == LEVEL


def test_what_warms_up_ever_more_slowly_is_level() -> None:
    assert verdict(recorded("memory/relay", lambda at: 90 - 40 * math.exp(-at / 100), noise=0.3)) == LEVEL


def test_a_backlog_that_goes_again_is_level() -> None:
    assert verdict(recorded("waiting/messages", lambda at: 2000 if 450 < at < 470 or at > 590 else 2)) == LEVEL


def test_a_process_is_judged_by_its_age_after_its_last_start() -> None:
    recording = recorded("memory/relay", lambda at: 80 if at < 300 else 50, noise=0.3)
    recording.starts["relay"] = 300

    assert verdict(recording) == LEVEL


def test_a_process_that_grows_from_each_start_grows() -> None:
    recording = recorded("memory/relay", lambda at: 50 + at % 300 / 20, noise=0.3)
    recording.starts["relay"] = 300

    assert verdict(recording) == GROWS


def test_records_may_grow() -> None:
    assert verdict(recorded("rows/audit_log", lambda at: 30 * at)) == RECORD


@pytest.mark.parametrize("name", ["memory/relay", "rows/events"])
def test_what_is_too_short_to_tell_is_not_called_level(name: str) -> None:
    assert verdict(recorded(name, lambda at: at, seconds=30)) == SHORT


def test_picture_and_samples_are_kept(tmp_path: Path) -> None:
    recording = recorded("rows/events", saw)
    for name in ("memory/relay", "memory/notifier", "redis/used", "connections/herald-api", "done/mailed"):
        recording.series[name] = recorded(name, lambda at: 50 + at / 10, noise=1).series[name]
    recording.marks = [Mark(60.0, "kill relay"), Mark(81.0, "FLUSHALL"), Mark(300.0, "restart PostgreSQL")]
    outcome = Outcome(Plan(SECONDS, 30, 7), recording, Ledger(), judge(recording, TABLES))

    picture, samples = summary.keep(outcome, tmp_path / "soak")

    content = picture.read_bytes()
    assert content.startswith(b"\x89PNG")
    assert 10_000 < len(content) < 60_000
    kept = json.loads(samples.read_text())
    assert kept["series"]["rows/events"] == [list(point) for point in recording.series["rows/events"]]
    assert (
        kept["wrong"]
        == outcome.wrong
        == ["it grows: connections/herald-api, memory/notifier, memory/relay, redis/used"]
    )


def test_a_soak_of_seconds_loses_nothing(postgres: Postgres, tmp_path: Path) -> None:
    plan = Plan(10, 20, 5, pause=(1.5, 2.0))

    outcome = run(plan, Servers(tmp_path, postgres), lambda _: None)

    assert outcome.wrong == []
    assert outcome.ledger is not None
    assert outcome.ledger.mails >= outcome.ledger.answered == 200
    assert len(outcome.recording.marks) >= 2
    assert {name.partition("/")[0] for name in outcome.recording.series} >= {"memory", "rows", "connections"}
