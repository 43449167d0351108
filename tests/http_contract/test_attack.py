"""The attack itself: it ends, whatever the API does."""

import socket
import time
from pathlib import Path

import pytest
from tests.patience import SLACK

from . import attack


def test_an_api_that_hangs_fails_the_attack(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(attack, "LIMIT", 2)
    began = time.monotonic()

    with socket.create_server(("127.0.0.1", 0)) as silent, pytest.raises(AssertionError, match="does the API hang"):
        attack.attack(f"http://127.0.0.1:{silent.getsockname()[1]}", attack.SINGLE, 1, tmp_path / "attack")

    assert time.monotonic() - began < 2 + SLACK
