"""Record `make demo`, its terminal and the console above it, as the animated picture that opens the README.

`.venv/bin/python -m tests.console.recording` takes two minutes. It needs Chromium, and img2webp (Debian: webp).
"""

import base64
import html
import re
import shutil
import subprocess
import sys
import tempfile
import threading
from collections import deque
from pathlib import Path

from playwright.sync_api import Page, sync_playwright
from tests.console.conftest import FLAGS
from tests.console.viewing import PICTURES

from devstack.ports import free_port
from devstack.programs import program

SIZE = (1200, 620)
"""Of the console, in pixels. The terminal is below it."""

LINES = 7
TERMINAL = 170
LIVE = "[sse-connect]"
"""What a page has that turns itself to the newest. Others are loaded anew for each frame."""

SECONDS = 60
FRAME_SECONDS = 1.0
SHOWN_MS = 350
"""How long a frame is shown. A recorded second passes in a third."""

LAST_MS = 5000
END = "nothing lost"
"""What the demo says before it stops everything."""

ADVICE = re.compile(r"Look at .*?: (http\S+) or ")
COLOUR = re.compile(r"\x1b\[[0-9;]*m")

STYLE = """
body { margin: 0; background: #16181d; color: #d7dae0; font: 13px/1.5 monospace }
img { display: block } pre { margin: 0; padding: 10px 14px; font: inherit; white-space: pre-wrap }
"""


class Told:
    """What the demo has said so far, read by a thread. `lines`: the last of them; `address`: the page to look at."""

    def __init__(self, demo: subprocess.Popen[str]) -> None:
        self.lines: deque[str] = deque(maxlen=LINES)
        self.address = ""
        self._thread = threading.Thread(target=self._read, args=(demo,), daemon=True)
        self._thread.start()

    @property
    def is_over(self) -> bool:
        """Whether the demo has come to its end."""
        return not self._thread.is_alive() or any(END in line for line in self.lines)

    def _read(self, demo: subprocess.Popen[str]) -> None:
        for raw in demo.stdout or ():
            line = COLOUR.sub("", raw.rstrip())
            if advice := ADVICE.search(line):
                self.address = advice[1]
            elif line:
                self.lines.append(line)


def record(directory: Path) -> list[Path]:
    """Run the demo, and return its frames: PNG files."""
    argv = [program("devstack"), "demo", "--port", str(free_port()), "--seconds", str(SECONDS), "--dir", "demo"]
    frames: list[Path] = []
    with (
        subprocess.Popen(argv, cwd=directory, stdout=subprocess.PIPE, text=True) as demo,  # ours
        sync_playwright() as driver,
        driver.chromium.launch(executable_path=shutil.which("chromium"), args=list(FLAGS)) as browser,
    ):
        width, height = SIZE
        console = browser.new_page(viewport={"width": width, "height": height})
        whole = browser.new_page(viewport={"width": width, "height": height + TERMINAL})
        told = Told(demo)
        while not told.is_over:
            if told.address:
                if console.url != told.address or not console.locator(LIVE).count():
                    console.goto(told.address)
                frames.append(directory / f"{len(frames):04}.png")
                draw(console, whole, told, frames[-1])
            console.wait_for_timeout(1000 * FRAME_SECONDS)
        draw_end(whole, told, frames[-1])
        if demo.wait() != 0:
            sys.exit("the demo failed: " + "\n".join(told.lines))
    return frames


def draw(console: Page, whole: Page, told: Told, path: Path) -> None:
    """Write one frame: the console as it is now, and the terminal below."""
    console.screenshot(path=path)
    whole.goto("about:blank")
    source = "data:image/png;base64," + base64.b64encode(path.read_bytes()).decode()
    lines = html.escape("\n".join(told.lines))
    whole.set_content(f'<style>{STYLE}</style><img src="{source}"><pre>{lines}</pre>')
    whole.screenshot(path=path)


def draw_end(whole: Page, told: Told, path: Path) -> None:
    """Write the last frame anew, with the demo's last words; its console is gone by now."""
    whole.locator("pre").evaluate("(pre, lines) => pre.textContent = lines", "\n".join(told.lines))
    whole.screenshot(path=path)


def main() -> None:
    """Record, and write docs/console/demo.webp."""
    with tempfile.TemporaryDirectory() as directory:
        frames = record(Path(directory))
        each = [word for frame in frames for word in ("-d", str(SHOWN_MS), str(frame))]
        each[-2] = str(LAST_MS)
        target = PICTURES / "demo.webp"
        subprocess.run(  # a program of the system
            ["img2webp", "-loop", "0", "-m", "6", "-kmax", "10", *each, "-o", str(target)], check=True
        )
        print(f"{target}: {len(frames)} frames, {target.stat().st_size / 1e6:.2f} MB")  # noqa: T201  # its output


if __name__ == "__main__":
    main()
