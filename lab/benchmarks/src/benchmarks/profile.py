"""Where Herald's CPU goes: py-spy at each of its processes while a burst lasts."""

import signal
import subprocess
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table

from benchmarks import usage
from benchmarks.burst import CONCURRENCY, WARM_UP
from benchmarks.errors import BenchmarkError
from benchmarks.places import PEERS_PYTHON
from benchmarks.running import Running

RATE = 200
TOP = 15
FRAME_OF_ALL = (
    "<module>",
    "(typer/",
    "(threading.py)",
    "(asyncio/runners.py)",
    "(uvicorn/main.py)",
    "(uvicorn/server.py)",
)
"""What is below everything says nothing: it is left out of the inclusive column."""


@dataclass(frozen=True)
class Profile:
    """Samples of one process, by function: at its top, and anywhere in the stack (once for each sample)."""

    samples: int
    own: Counter[str]
    inclusive: Counter[str]


def record(running: Running, registrations: int, directory: Path, form: str) -> dict[str, Path]:
    """Let a burst go with py-spy at every process, and return each one's file (`raw`, or `flamegraph` as SVG)."""
    running.begin()
    running.register(WARM_UP, "warm", concurrency=CONCURRENCY)
    running.until_done()
    running.begin()
    files = {name: directory / f"{name}.{'svg' if form == 'flamegraph' else 'txt'}" for name in running.processes}
    with ExitStack() as spies:
        for name, process in running.processes.items():
            busiest = max(process.pids, key=lambda pid: usage.cpu([pid]))  # a consumer's worker, not its master
            spies.enter_context(_spying(busiest, files[name], form))
        running.register(registrations, "burst", concurrency=CONCURRENCY)
        running.until_done()
    return files


@contextmanager
def _spying(pid: int, output: Path, form: str) -> Iterator[None]:
    argv = [str(PEERS_PYTHON / "py-spy"), "record", "--pid", str(pid), "--format", form, "--rate", str(RATE)]
    argv += ["--nonblocking", "--duration", "3600", "--output", str(output)]
    spy = subprocess.Popen(argv, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)  # noqa: S603  # from the lock
    try:
        yield
    finally:
        spy.send_signal(signal.SIGINT)  # it writes its file then
        _, told = spy.communicate(timeout=60)
        if not output.exists():
            raise BenchmarkError(f"py-spy wrote nothing; it may need root: {told.strip()[-300:]}")


def read(path: Path) -> Profile:
    """Read py-spy's raw format: a stack, outermost first, and how often it was seen, on each line."""
    samples = 0
    own: Counter[str] = Counter()
    inclusive: Counter[str] = Counter()
    for line in path.read_text().splitlines():
        stack, _, count = line.rpartition(" ")
        frames = stack.split(";")
        samples += int(count)
        own[_function(frames[-1])] += int(count)
        inclusive.update(dict.fromkeys(map(_function, frames), int(count)))
    return Profile(samples, own, inclusive)


def _function(frame: str) -> str:
    """Cut the line number off: `name (file.py:12)`."""
    return f"{frame.rpartition(':')[0]})" if ":" in frame else frame


def show(name: str, profile: Profile, console: Console) -> None:
    """Print the functions with most samples, by themselves and with what they call."""
    table = Table(title=f"{name}: {profile.samples} samples at {RATE} a second", title_justify="left")
    for title in ("self %", "function", "inclusive %", "function"):
        table.add_column(title, justify="right" if "%" in title else "left", overflow="fold")
    telling = [each for each in profile.inclusive.most_common() if not any(word in each[0] for word in FRAME_OF_ALL)]
    for own, inclusive in zip(profile.own.most_common(TOP), telling, strict=False):
        cells = [(f"{100 * count / profile.samples:.1f}", function) for function, count in (own, inclusive)]
        table.add_row(*cells[0], *cells[1])
    console.print(table)
