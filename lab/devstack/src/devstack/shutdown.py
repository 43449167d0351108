"""Signals: the first asks for an orderly end, the second for an immediate one."""

import signal
import time
from types import FrameType

from devstack.lifeline import lifeline


class Stopped(Exception):
    """A signal asked this process to end."""


class Shutdown:
    """Listens to SIGINT, SIGTERM and SIGHUP. Make it in the main thread.

    Signals only set a flag that we look at between steps, so no step is left half done: a process that was
    just started is always known to the code that has to stop it.
    """

    def __init__(self) -> None:
        self._signals = 0
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            if number != signal.SIGHUP or signal.getsignal(number) != signal.SIG_IGN:  # nohup
                signal.signal(number, self._note)

    def check(self) -> None:
        """Raise Stopped when a signal has come."""
        if self._signals:
            raise Stopped

    def pause(self, seconds: float) -> None:
        """Sleep; Stopped when a signal has come."""
        until = time.monotonic() + seconds
        self.check()
        while (left := until - time.monotonic()) > 0:
            time.sleep(min(left, 0.1))
            self.check()

    def _note(self, _number: int, _frame: FrameType | None) -> None:
        self._signals += 1
        if self._signals > 1:
            lifeline.kill_all()  # a wait for their end then returns
