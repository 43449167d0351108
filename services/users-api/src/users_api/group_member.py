"""One request in a group commit, and its deadline.

Requests have no timers of their own. A group is awaited until the deadline of its oldest member, then of the next.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from users_api.database import too_late

RequestT = TypeVar("RequestT")
AnswerT = TypeVar("AnswerT")


@dataclass(slots=True)
class Member(Generic[RequestT, AnswerT]):
    """A request that waits for its answer since `arrived_at`, for at most `seconds`."""

    request: RequestT
    answer: asyncio.Future[AnswerT]
    arrived_at: float
    seconds: float

    def waited(self) -> float:
        """Return for how many seconds it has waited."""
        return asyncio.get_running_loop().time() - self.arrived_at

    def left(self) -> float:
        """Return for how many seconds it can still wait."""
        return self.seconds - self.waited()


def answer(group: Sequence[Member[RequestT, AnswerT]], answers: Sequence[AnswerT]) -> None:
    """Give each member its answer."""
    for member, its_answer in zip(group, answers, strict=True):
        if not member.answer.done():
            member.answer.set_result(its_answer)


def fail(group: Sequence[Member[RequestT, AnswerT]], error: Exception) -> None:
    """Let each member's request raise the error."""
    for member in group:
        if not member.answer.done():
            member.answer.set_exception(error)


async def wait_for_group(group: Sequence[Member[RequestT, AnswerT]], work: asyncio.Task[Sequence[AnswerT]]) -> None:
    """Wait until a group's work is done; each member until its deadline, oldest first."""
    for member in group:
        done, _ = await asyncio.wait({work}, timeout=member.left())
        if done:
            return
        fail([member], too_late())


async def wait_for_one(
    member: Member[RequestT, AnswerT], work: asyncio.Task[Sequence[AnswerT]], stopping: float
) -> None:
    """Wait until a member's work is done; if it takes too long, until it has stopped, for up to `stopping` seconds.

    Raises:
        DatabaseUnavailable: it took too long.
    """
    await asyncio.wait({work}, timeout=member.left())
    if not work.done():
        work.cancel()
        await asyncio.wait({work}, timeout=stopping)
        raise too_late()
