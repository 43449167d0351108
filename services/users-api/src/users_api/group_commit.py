"""Group commit: what many requests ask for goes to PostgreSQL as one statement, with one commit for all of them.

Nobody waits for a group to fill. Whoever comes alone goes at once; whoever comes while a group is on its way goes with
the next. So groups grow by themselves, and only under load.

A group stands and falls together, so one bad member must not be the others' ruin: if PostgreSQL refuses a group, it has
done none of it, and each member is tried alone, beside the groups that follow. If PostgreSQL doesn't answer, nobody can
know what it did, and nobody tries again but the client.

Each request is judged by its own wait. It is answered 503 when it has waited for WAIT_SECONDS, whatever it shares a
group with; the group's statement goes on for as long as any member still waits. So a request that was answered 503
while its statement ran may be committed after all: its client asks again, with its Idempotency-Key. Requests have no
timers of their own: a group is awaited until the deadline of its oldest member, then of the next.
"""

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Generic, TypeVar

from users_api.database import WAIT_SECONDS, DatabaseBusy, DatabaseUnavailable, too_late, unavailable

LIMIT = 100
"""Members of one group at most: a few milliseconds of PostgreSQL's time."""

AT_ONCE = 16
"""Of more than so many who wait, half go at once, and the others next. While PostgreSQL works for some, this process
writes the others' answers and reads what comes next; if all went together, each would be idle while the other works."""

LONG_WAIT = 0.02
"""Seconds. A request that has waited longer waits for PostgreSQL and not for this process. Then all requests go at
once, because otherwise some would wait twice."""

SETTING_OFF = 0.1
"""Seconds. A request with less time left isn't started: it might commit after its client was answered 503."""

STOPPING = 0.3
"""Seconds to wait until PostgreSQL has stopped what took one request too long: then its client's 503 is certain."""

Asked = TypeVar("Asked")
Told = TypeVar("Told")
Execute = Callable[[Sequence[Asked]], Coroutine[Any, Any, Sequence[Told]]]


@dataclass(slots=True)
class _Member(Generic[Asked, Told]):
    request: Asked
    answer: asyncio.Future[Told]
    deadline: float


class GroupCommit(Generic[Asked, Told]):
    """Executes requests in groups, one group at a time.

    `execute` does what all of a group's requests ask for, or nothing, and returns their answers in the same order. It
    doesn't wait long for another's lock; `patient`, which a member that is tried alone is given to, does.
    """

    def __init__(self, execute: Execute[Asked, Told], patient: Execute[Asked, Told] | None = None) -> None:
        self._execute = execute
        self._patient = patient or execute
        self._waiting: list[_Member[Asked, Told]] = []
        self._sender: asyncio.Task[None] | None = None
        self._alone: set[asyncio.Task[None]] = set()

    async def submit(self, request: Asked) -> Told:
        """Execute a request with whatever others there are. One that is cancelled before its group leaves never left.

        Raises:
            DatabaseUnavailable: no answer in time; whether it was done is unknown, but for one that hadn't left.
            Whatever `execute` raises for this request alone.
        """
        loop = asyncio.get_running_loop()
        member = _Member[Asked, Told](request, loop.create_future(), loop.time() + WAIT_SECONDS)
        self._waiting.append(member)
        if self._sender is None:
            self._sender = loop.create_task(self._send_all())
        return await member.answer

    async def close(self) -> None:
        """Wait until all that is under way is over, even what nobody waits for any more."""
        while tasks := [*filter(None, [self._sender]), *self._alone]:
            await asyncio.wait(tasks)

    async def _send_all(self) -> None:
        tell = _nothing
        try:
            while self._waiting:
                if group := self._take():
                    work = _set_off(self._execute, group)
                    tell()  # the group before: its answers are written while PostgreSQL works for this one
                    tell = await self._outcome(group, work)
        finally:
            self._sender = None
            tell()

    def _take(self) -> list[_Member[Asked, Told]]:
        """Take the next group, and answer those who can't be in it: they have waited for too long already."""
        size = self._size()
        group = [member for member in self._waiting[:size] if not member.answer.done()]
        del self._waiting[:size]
        late = [member for member in group if _left(member) < SETTING_OFF]
        _fail(late, DatabaseUnavailable("it did not answer earlier requests in time"))
        return group[len(late) :]

    def _size(self) -> int:
        if WAIT_SECONDS - _left(self._waiting[0]) > LONG_WAIT:
            return LIMIT
        return min(LIMIT, max(AT_ONCE, len(self._waiting) // 2))

    async def _outcome(
        self, group: Sequence[_Member[Asked, Told]], work: asyncio.Task[Sequence[Told]]
    ) -> Callable[[], None]:
        """Wait until a group is done, and return what is to be done about it."""
        await _done_or_late(group, work)
        if not work.done():
            work.cancel()
            return _nothing
        try:
            with unavailable():
                answers = work.result()
        except Exception as error:  # each member's request raises it
            return partial(_fail if _is_final(error, group) else self._send_each_alone, group, error)
        return partial(_answer, group, answers)

    async def _send_alone(self, member: _Member[Asked, Told]) -> None:
        work = _set_off(self._patient, [member])
        try:
            await _done_or_stopped(member, work)
            with unavailable():
                _answer([member], work.result())
        except Exception as error:  # this request raises it
            _fail([member], error)

    def _send_each_alone(self, group: Sequence[_Member[Asked, Told]], _: Exception) -> None:
        for member in group:
            task = asyncio.get_running_loop().create_task(self._send_alone(member))
            self._alone.add(task)
            task.add_done_callback(self._alone.discard)


async def _done_or_late(group: Sequence[_Member[Asked, Told]], work: asyncio.Task[Sequence[Told]]) -> None:
    """Wait until a group's work is done, or all of the group, oldest first, have waited for as long as one may."""
    for member in group:
        done, _ = await asyncio.wait({work}, timeout=_left(member))
        if done:
            return
        _fail([member], too_late())


async def _done_or_stopped(member: _Member[Asked, Told], work: asyncio.Task[Sequence[Told]]) -> None:
    """Wait until a member's work is done, or has been stopped because it took too long.

    Raises:
        DatabaseUnavailable: it took too long.
    """
    await asyncio.wait({work}, timeout=_left(member))
    if not work.done():
        work.cancel()
        await asyncio.wait({work}, timeout=STOPPING)
        raise too_late()


def _left(member: _Member[Asked, Told]) -> float:
    """Return for how many seconds a request can still wait for its answer."""
    return member.deadline - asyncio.get_running_loop().time()


def _set_off(execute: Execute[Asked, Told], group: Sequence[_Member[Asked, Told]]) -> asyncio.Task[Sequence[Told]]:
    return asyncio.get_running_loop().create_task(execute([each.request for each in group]))


def _is_final(error: Exception, group: Sequence[_Member[Asked, Told]]) -> bool:
    """Tell whether it's no use to try each alone: it may be done, can't be done, or was alone already."""
    if isinstance(error, DatabaseBusy):
        return False
    return len(group) == 1 or isinstance(error, DatabaseUnavailable)


def _nothing() -> None: ...


def _answer(group: Sequence[_Member[Asked, Told]], answers: Sequence[Told]) -> None:
    for member, answer in zip(group, answers, strict=True):
        if not member.answer.done():
            member.answer.set_result(answer)


def _fail(group: Sequence[_Member[Asked, Told]], error: Exception) -> None:
    for member in group:
        if not member.answer.done():
            member.answer.set_exception(error)
