"""What happens in the demo, in order. Read `tell` as a table of contents."""

import subprocess
import time
from collections.abc import Callable
from pathlib import Path

from devstack.demo.outcome import Outcome, outcome
from devstack.demo.people import People
from devstack.errors import DevstackError
from devstack.run import Scene
from messaging.wire.client import connect

SETTLE = 90.0
"""Seconds after which what is still missing counts as lost."""

LINGER = 2.0
"""Seconds for which the console still shows the end."""

CROWD = 20
PACE = 0.5


class Story:
    """The demo in `seconds`, more or less: faults at fixed shares of them, and then as long as the rest takes."""

    def __init__(self, scene: Scene, seconds: float, mails: Path) -> None:
        self._scene = scene
        self._seconds = seconds
        self._mails = mails
        self._began = time.monotonic()
        self._people = People(scene.herald.local_url, PACE, f"{time.time_ns() // 1_000_000_000 % 1_000_000:x}")
        self._console = f"{scene.herald.local_url}/console"
        self._unlucky = ""
        """The address of a user who registered while the mail server was down."""
        self._command = scene.command.shown

    def tell(self) -> None:
        """Tell it.

        Raises:
            DevstackError: something was lost, or is still to come.
        """
        self._open()
        self._break_mail()
        self._mend_mail()
        self._kill_worker()
        self._empty_redis()
        self.close()

    def _open(self) -> None:
        self._say("People register, two a second. Each is to have a welcome mail and an audit row.")
        self._look_at("the overview", "", "status --watch")
        self._people.start()
        self._until(0.12)

    def _break_mail(self) -> None:
        self._scene.supervisor.halt("mailbox")
        self._say("The mail server is down. People register as before: that takes PostgreSQL alone.")
        self._look_at("failures, grouped by their error", "/failures", "deliveries groups")
        self._until(0.28)
        self._run("deliveries", "groups")
        self._unlucky = next(reversed(self._people.registered))
        self._until(0.35)

    def _mend_mail(self) -> None:
        self._scene.supervisor.resume("mailbox")
        self._say("The mail server is back. Each mail is tried again when it is due; no operator has to act.")
        self._look_at("the mails that are sent now", "", "status --watch")
        self._until(0.42)
        user = self._people.registered[self._unlucky]
        self._look_at("one whose mail had to wait", f"/users/{user}", f"user {self._unlucky}")
        self._run("user", self._unlucky)
        self._until(0.5)

    def _kill_worker(self) -> None:
        self._people.crowd(CROWD)
        self._scene.supervisor.kill("notifier")
        self._say(f"{CROWD} people came at once, and the worker that sends mails is killed (kill -9) in the middle.")
        self._look_at("the worker that takes its place and its messages", "", "doctor")
        self._until(0.65)

    def _empty_redis(self) -> None:
        self._people.crowd(CROWD)
        with connect(self._scene.herald.redis_url) as client:
            client.flushall()
        self._say(f"{CROWD} more, and all messages are gone (FLUSHALL). PostgreSQL still has every delivery.")
        self._look_at("the deliveries that the relay finds missing and enqueues again", "", "status")
        self._until(0.75)

    def close(self) -> None:
        """Wait for what is under way, and say what became of everyone.

        Raises:
            DevstackError: something was lost, or is still to come.
        """
        self._people.stop()
        self._say("No more registrations. Waiting until every delivery has succeeded ...")
        found = self._settled()
        if self._people.refused:
            raise DevstackError(f"{len(self._people.refused)} weren't registered: {self._people.refused[0]}")
        if not found.is_final:
            raise DevstackError(str(found))
        self._scene.pause(LINGER)
        self._say(f"{found}. The slowest registration took {self._people.slowest * 1000:.0f} ms.")

    def _settled(self) -> Outcome:
        deadline = time.monotonic() + SETTLE
        while True:
            found = outcome(self._people.registered, self._scene.herald.databases, self._mails)
            if found.is_final or time.monotonic() > deadline:
                return found
            self._scene.pause(0.5)

    def _say(self, words: str) -> None:
        self._scene.terminal.progress(words)

    def _look_at(self, what: str, page: str, command: str) -> None:
        self._scene.terminal.show(f"          | Look at {what}: {self._console}{page} or {self._command} {command}")

    def _run(self, *arguments: str) -> None:
        """Run `bin/herald`, which prints to our terminal."""
        self._scene.terminal.show(f"\n$ {self._command} {' '.join(arguments)}")
        subprocess.run([str(self._scene.command.path), *arguments], check=False)  # noqa: S603  # ours
        self._scene.terminal.show("")

    def _until(self, share: float) -> None:
        """Wait until a share of the time is over."""
        while (left := self._began + share * self._seconds - time.monotonic()) > 0:
            self._scene.pause(min(left, 0.5))


def teller(seconds: float, mails: Path) -> Callable[[Scene], None]:
    """Return what to do once everything runs."""
    return lambda scene: Story(scene, seconds, mails).tell()
