"""The command `herald` for tests: as a script runs it, and in a terminal."""

import os
import pty
import select
import subprocess
import time

from tests.patience import PATIENCE

from devstack.programs import program

PROGRAM = program("herald")


def environment(**given: str) -> dict[str, str]:
    return {"PATH": os.environ["PATH"], "COLUMNS": "200", **given}


def herald(*arguments: str, **given: str) -> subprocess.CompletedProcess[str]:
    """Run `herald`; its output goes to a pipe."""
    command = [PROGRAM, *arguments]
    return subprocess.run(
        command, env=environment(**given), stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
    )


def rows(printed: str) -> list[dict[str, str]]:
    """Read what is printed to a pipe: headings, and a line for each row, with tabs between cells."""
    headings, *lines = printed.splitlines()
    return [dict(zip(headings.split("\t"), line.split("\t"), strict=True)) for line in lines]


class Terminal:
    """`herald`, or another program, in a terminal, 200 columns wide unless `COLUMNS` is given."""

    def __init__(self, *arguments: str, program: str = PROGRAM, **given: str) -> None:
        self._ours, theirs = pty.openpty()
        self.process = subprocess.Popen(
            [program, *arguments],
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            env=environment(TERM="xterm", **given),
            start_new_session=True,
        )
        os.close(theirs)
        self.shown = ""

    def type(self, text: str) -> None:
        os.write(self._ours, text.encode())

    def until_shown(self, text: str) -> None:
        """Read until a text appears."""
        deadline = time.monotonic() + PATIENCE
        while text not in self.shown:
            assert time.monotonic() < deadline, f"{text!r} wasn't shown: {self.shown}"
            read = self._read()
            assert read, f"{text!r} was never shown: {self.shown}"

    def finish(self) -> tuple[int, str]:
        """Read to the end; return the exit status and all that was shown."""
        while self._read():
            pass
        os.close(self._ours)
        return self.process.wait(PATIENCE), self.shown

    def _read(self) -> str:
        assert select.select([self._ours], [], [], PATIENCE)[0], f"nothing more was shown: {self.shown}"
        try:
            read = os.read(self._ours, 65_536).decode("utf-8", "replace")
        except OSError:  # Linux: the other side is closed
            return ""
        self.shown += read
        return read
