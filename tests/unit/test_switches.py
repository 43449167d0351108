"""Optional effects: on while their setting isn't empty, with the delay that it gives."""

from datetime import timedelta
from pathlib import Path

import pytest

from contracts import AUDIT_LOG, FOLLOW_UP_EMAIL, WELCOME_EMAIL
from messaging.errors import ConfigurationError
from messaging.publishing.switches import duration, switched_on


def test_an_effect_without_a_switch_is_always_on_and_one_with_an_empty_setting_is_off(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("FOLLOW_UP_AFTER", "")
    assert switched_on([WELCOME_EMAIL, FOLLOW_UP_EMAIL, AUDIT_LOG]) == (WELCOME_EMAIL, AUDIT_LOG)


def test_a_setting_turns_an_effect_on_and_gives_its_delay(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("FOLLOW_UP_AFTER", "3d")
    [on] = switched_on([FOLLOW_UP_EMAIL])
    assert (on.name, on.delay) == ("follow_up_email", timedelta(days=3))

    monkeypatch.delenv("FOLLOW_UP_AFTER")
    (tmp_path / "after").write_text("36h\n")
    monkeypatch.setenv("FOLLOW_UP_AFTER_FILE", str(tmp_path / "after"))
    assert [each.delay for each in switched_on([FOLLOW_UP_EMAIL])] == [timedelta(hours=36)]


def test_a_switch_without_a_delay_may_hold_anything(monkeypatch: pytest.MonkeyPatch) -> None:
    webhook = WELCOME_EMAIL.model_copy(update={"switch": "WEBHOOK_URL"})
    monkeypatch.delenv("WEBHOOK_URL", raising=False)
    assert switched_on([webhook]) == ()
    monkeypatch.setenv("WEBHOOK_URL", "on")
    assert switched_on([webhook]) == (webhook,)


@pytest.mark.parametrize(("text", "seconds"), [("0s", 0), ("1.5m", 90), ("36h", 129_600), ("3 d", 259_200)])
def test_durations(text: str, seconds: float) -> None:
    assert duration("NAME", text) == timedelta(seconds=seconds)


@pytest.mark.parametrize("text", ["3", "d", "-3d", "three days", "3w", "1e3s", "9999999d", "٣d", "3d3h", "nan s"])
def test_what_is_no_duration_is_refused_with_the_remedy(text: str) -> None:
    with pytest.raises(ConfigurationError, match=r"FOLLOW_UP_AFTER.*such as 3d"):
        duration("FOLLOW_UP_AFTER", text)
