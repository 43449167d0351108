"""`notifier preview`: a mail as files, without any server or setting."""

import os
import subprocess
import sys
from pathlib import Path

NOTIFIER = str(Path(sys.executable).with_name("notifier"))


def preview(directory: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {"PATH": os.environ["PATH"], "TERMINAL_WIDTH": "200"}
    argv = [NOTIFIER, "preview", *arguments]
    return subprocess.run(argv, cwd=directory, env=environment, capture_output=True, text=True, check=False, timeout=60)


def test_it_writes_html_and_text_and_says_where(tmp_path: Path) -> None:
    ended = preview(tmp_path, "welcome", "--to", "Maya & Chen <maya@example.com>", "--out", "a/b")

    html, text = tmp_path / "a/b/welcome.html", tmp_path / "a/b/welcome.txt"
    assert (ended.returncode, ended.stderr) == (0, "")
    assert ended.stdout.splitlines() == ["Subject: Welcome, Maya & Chen", "a/b/welcome.html", "a/b/welcome.txt"]
    assert "Welcome, <bdi>Maya &amp; Chen</bdi>!" in html.read_text()
    assert text.read_text().startswith("Hello Maya & Chen,\n")


def test_by_default_it_writes_below_preview(tmp_path: Path) -> None:
    assert preview(tmp_path, "welcome", "--to", "Maya Chen <maya@example.com>").returncode == 0
    assert sorted(each.name for each in (tmp_path / "preview").iterdir()) == ["welcome.html", "welcome.txt"]


def test_an_unknown_template_is_told_the_known_ones(tmp_path: Path) -> None:
    ended = preview(tmp_path, "layout", "--to", "maya@example.com")

    assert ended.returncode == 2
    assert "there is no template 'layout', only: follow_up, report, welcome" in ended.stderr
    assert list(tmp_path.iterdir()) == []


def test_help_says_what_to_give(tmp_path: Path) -> None:
    said = preview(tmp_path, "--help").stdout

    assert all(each in said for each in ("welcome", "Maya Chen <maya@example.com>", "--out", "--set"))
