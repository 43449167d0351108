"""`make demo`, shortened: it breaks what it says, loses nothing, and would say so if it did."""

import os
import re
import subprocess
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from devstack.demo import story
from devstack.demo.outcome import Outcome
from devstack.errors import DevstackError
from devstack.ports import free_port
from devstack.programs import program


@pytest.fixture
def told(tmp_path: Path) -> subprocess.CompletedProcess[str]:
    """What the demo says. The servers that the environment names are not for it."""
    argv = [program("devstack"), "demo", "--port", str(free_port()), "--seconds", "12", "--dir", "var/demo"]
    dear = {"DATABASE_URL": "postgresql://dear", "REDIS_URL": "redis://dear", "MAIL_URL": "smtp://dear"}
    return subprocess.run(
        argv, cwd=tmp_path, env={**os.environ, **dear}, capture_output=True, text=True, check=False, timeout=240
    )


def test_everything_breaks_and_nothing_is_lost(told: subprocess.CompletedProcess[str], tmp_path: Path) -> None:
    assert told.returncode == 0, told.stdout + told.stderr
    said = told.stdout
    for happened in ("mail server is down", "Connection refused", "mail server is back", "kill -9", "FLUSHALL"):
        assert happened in said
    assert "notifier was killed by SIGKILL" in said
    counted = re.search(
        r"(\d+) registered, (\d+) mails(?:, \d+ of them twice[^,]*)?, (\d+) audit rows: nothing lost", said
    )
    assert counted, said
    assert len(set(counted.groups())) == 1
    assert int(counted[1]) > 40
    assert re.search(r"/console/failures or var/bin/herald deliveries groups", said)
    log = (tmp_path / "var/demo/demo.log").read_text()
    assert "Worker process is ready" in log
    assert "Worker process is ready" not in said


def test_what_is_unfinished_may_still_send_a_mail_again() -> None:
    assert Outcome(3, 3, 3, 1, 0, unfinished=0).is_final
    assert not Outcome(3, 3, 3, 1, 0, unfinished=1).is_final
    assert not Outcome(3, 2, 3, 0, 0, unfinished=0).is_final


@pytest.mark.parametrize(
    ("outcome", "says"),
    [
        (Outcome(3, 3, 3, 0, 0), "3 registered, 3 mails, 3 audit rows: nothing lost"),
        (Outcome(3, 3, 3, 1, 0), "3 mails, 1 of them twice"),
        (Outcome(3, 2, 3, 0, 0), "LOST"),
        (Outcome(3, 3, 2, 0, 0), "LOST"),
        (Outcome(3, 3, 3, 0, 1), "LOST"),
        (Outcome(3, 3, 3, 0, 0, unfinished=2), "NOT OVER, 2 deliveries haven't succeeded"),
    ],
)
def test_the_count_says_what_is_lost(outcome: Outcome, says: str) -> None:
    assert says in str(outcome)
    assert outcome.is_complete == ("LOST" not in says)
    assert outcome.is_final == ("nothing lost" in str(outcome))


@pytest.mark.parametrize("found", [Outcome(0, 0, 0, 0, 0, unfinished=1), Outcome(1, 0, 1, 0, 0)], ids=str)
def test_what_is_lost_or_still_to_come_fails_the_demo(
    found: Outcome, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(story, "outcome", lambda *_: found)
    monkeypatch.setattr(story, "SETTLE", 0.0)
    herald = SimpleNamespace(local_url="http://localhost:8000", databases={})
    command, terminal = SimpleNamespace(shown="herald"), SimpleNamespace(progress=print)
    scene: Any = SimpleNamespace(herald=herald, command=command, terminal=terminal, pause=lambda _: None)

    with pytest.raises(DevstackError, match=re.escape(str(found))):
        story.Story(scene, 1.0, tmp_path).close()
