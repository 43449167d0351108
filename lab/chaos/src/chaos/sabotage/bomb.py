"""How a process dies at a given passing of a given line."""

import functools
import os
import signal
import threading
from collections.abc import Callable
from inspect import iscoroutinefunction
from typing import Any, NoReturn


class Bomb:
    """Kills the process with its whole group at a passing: the number `passings`."""

    def __init__(self, passings: int) -> None:
        self._left = passings
        self._lock = threading.Lock()

    def passed(self) -> bool:
        """Count a passing, and return whether it was the last one."""
        with self._lock:
            self._left -= 1
            return self._left == 0

    def __call__(self) -> None:
        """Count a passing, and die if it was the last one."""
        if self.passed():
            die()


def die() -> NoReturn:
    """End this process and all of its group, as `kill -9` does."""
    os.killpg(0, signal.SIGKILL)
    raise AssertionError("no process survives that")


def before(owner: Any, name: str, bomb: Callable[[], None]) -> None:
    """Let a function pass the bomb before it does anything."""
    original = getattr(owner, name)

    @functools.wraps(original)
    def wrapped(*args: Any, **kwargs: Any) -> Any:
        bomb()
        return original(*args, **kwargs)

    setattr(owner, name, wrapped)


def after(owner: Any, name: str, bomb: Callable[[], None]) -> None:
    """Let a function, awaited or not, pass the bomb when it has done its work."""
    original = getattr(owner, name)

    @functools.wraps(original)
    def wrapped(*args: Any, **kwargs: Any) -> Any:
        result = original(*args, **kwargs)
        bomb()
        return result

    @functools.wraps(original)
    async def awaited(*args: Any, **kwargs: Any) -> Any:
        result = await original(*args, **kwargs)
        bomb()
        return result

    setattr(owner, name, awaited if iscoroutinefunction(original) else wrapped)


class Gate:
    """Lets threads send until the bomb's time has come. Then no thread enters, and when the last one is out, all die.

    A thread is inside from its first call after a claim until all its calls are recorded.
    """

    def __init__(self, bomb: Bomb) -> None:
        self._bomb = bomb
        self._inside: set[int] = set()
        self._closed = False
        self._moved = threading.Condition()

    def enter(self) -> None:
        """Go in, or wait for the end. A thread that is inside already goes on."""
        with self._moved:
            self._closed = self._bomb.passed() or self._closed
            if self._closed and threading.get_ident() not in self._inside:
                self._moved.wait_for(lambda: not self._inside)
                die()
            self._inside.add(threading.get_ident())

    def leave(self) -> None:
        """Come out."""
        with self._moved:
            self._inside.discard(threading.get_ident())
            self._moved.notify_all()
