"""Group commit: concurrent requests are executed by PostgreSQL in one statement, with one commit for all of them.

A lone request is sent at once, and never waits for a group to fill. Requests that arrive while a group is under way
form the next group. So groups grow by themselves, and only under load.

PostgreSQL executes a group as a whole or not at all. If it refuses a group, nothing was done, and each member is tried
alone, beside the groups that follow: a bad request fails alone. If PostgreSQL doesn't answer, the outcome is unknown,
and only the client may try again.

Each request has a deadline of its own, and is answered 503 when that has passed. The group's statement goes on for as
long as any member still waits. So a request that was answered 503 while its statement ran may be committed after all:
its client repeats it, with its Idempotency-Key.
"""

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from functools import partial
from typing import Any, Generic

from users_api.database import DatabaseBusy, DatabaseUnavailable, unavailable
from users_api.group_member import AnswerT, Member, RequestT, answer, fail, wait_for_group, wait_for_one
from users_api.pace import USUAL, Pace
from users_api.pool import WAIT_SECONDS

Execute = Callable[[Sequence[RequestT]], Coroutine[Any, Any, Sequence[AnswerT]]]


class GroupCommit(Generic[RequestT, AnswerT]):
    """Executes requests in groups, one group at a time.

    `execute` executes all requests of a group, or none, and returns their answers in the same order. It
    doesn't wait long for another's lock; `execute_alone`, which gets one request, does.
    """

    def __init__(
        self,
        execute: Execute[RequestT, AnswerT],
        execute_alone: Execute[RequestT, AnswerT] | None = None,
        pace: Pace = USUAL,
    ) -> None:
        self._execute = execute
        self._execute_alone = execute_alone or execute
        self._pace = pace
        self._waiting: list[Member[RequestT, AnswerT]] = []
        self._sender: asyncio.Task[None] | None = None
        self._alone: set[asyncio.Task[None]] = set()

    async def submit(self, request: RequestT, seconds: float = WAIT_SECONDS) -> AnswerT:
        """Execute a request together with others, within `seconds`. If it is cancelled before that, nothing happens.

        Raises:
            DatabaseUnavailable: no answer in time; unless the request never started, the outcome is unknown.
            Exception: what `execute` raises for this request alone.
        """
        loop = asyncio.get_running_loop()
        member = Member[RequestT, AnswerT](request, loop.create_future(), loop.time(), seconds)
        self._waiting.append(member)
        if self._sender is None:
            self._sender = loop.create_task(self._send_all())
        return await member.answer

    async def close(self) -> None:
        """Wait until everything under way is over, even if no request waits for it any more."""
        while tasks := [*filter(None, [self._sender]), *self._alone]:
            await asyncio.wait(tasks)

    async def _send_all(self) -> None:
        finish = _nothing
        try:
            while self._waiting:
                if group := self._take():
                    work = _start(self._execute, group)
                    finish()  # the group before: its answers are written while PostgreSQL works for this one
                    finish = await self._outcome(group, work)
        finally:
            self._sender = None
            finish()

    def _take(self) -> list[Member[RequestT, AnswerT]]:
        """Take the next group, without the members that have too little time left: they are answered here."""
        size = self._size()
        group = [member for member in self._waiting[:size] if not member.answer.done()]
        del self._waiting[:size]
        late = [member for member in group if member.left() < self._pace.reserve]
        fail(late, DatabaseUnavailable("it did not answer earlier requests in time"))
        return [member for member in group if not member.answer.done()]

    def _size(self) -> int:
        if self._waiting[0].waited() > self._pace.crowded:
            return self._pace.largest
        return min(self._pace.largest, max(self._pace.at_once, len(self._waiting) // 2))

    async def _outcome(
        self, group: Sequence[Member[RequestT, AnswerT]], work: asyncio.Task[Sequence[AnswerT]]
    ) -> Callable[[], None]:
        """Wait until a group is done, and return what finishes it."""
        await wait_for_group(group, work)
        if not work.done():
            work.cancel()
            return _nothing
        try:
            with unavailable():
                answers = work.result()
        except Exception as error:  # each member's request raises it
            return partial(fail, group, error) if _is_final(error, group) else partial(self._send_each_alone, group)
        return partial(answer, group, answers)

    async def _send_alone(self, member: Member[RequestT, AnswerT]) -> None:
        work = _start(self._execute_alone, [member])
        try:
            await wait_for_one(member, work, self._pace.stopping)
            with unavailable():
                answer([member], work.result())
        except Exception as error:  # this request raises it
            fail([member], error)

    def _send_each_alone(self, group: Sequence[Member[RequestT, AnswerT]]) -> None:
        for member in group:
            task = asyncio.get_running_loop().create_task(self._send_alone(member))
            self._alone.add(task)
            task.add_done_callback(self._alone.discard)


def _start(
    execute: Execute[RequestT, AnswerT], group: Sequence[Member[RequestT, AnswerT]]
) -> asyncio.Task[Sequence[AnswerT]]:
    return asyncio.get_running_loop().create_task(execute([member.request for member in group]))


def _is_final(error: Exception, group: Sequence[Member[RequestT, AnswerT]]) -> bool:
    """Is it no use to try each member alone? It may be done, can't be done, or was alone already."""
    if isinstance(error, DatabaseBusy):
        return False
    return len(group) == 1 or isinstance(error, DatabaseUnavailable)


def _nothing() -> None: ...
