"""Group commit, with an `execute` that the test holds in its hand: who leaves with whom, and who hears what."""

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

import pytest
from tests.patience import PATIENCE

from users_api.database import DatabaseBusy, DatabaseUnavailable
from users_api.group_commit import GroupCommit
from users_api.pace import USUAL, Pace
from users_api.pool import WAIT_SECONDS


class Hand:
    """Executes groups when it is told to: `let_go` for all that have left, `do` for what happens to each."""

    def __init__(self, do: Callable[[Sequence[int]], None] = lambda group: None, pace: Pace = USUAL) -> None:
        self.groups: list[list[int]] = []
        self.let_go = asyncio.Event()
        self.commit = GroupCommit[int, str](self.execute, pace=pace)
        self._do = do

    async def execute(self, group: Sequence[int]) -> list[str]:
        self.groups.append(list(group))
        await self.let_go.wait()
        self._do(group)
        return [f"did {each}" for each in group]

    async def come(self, *numbers: int, seconds: float = WAIT_SECONDS) -> list[asyncio.Task[str]]:
        """Submit, each in a task of its own, and wait until all wait for their groups."""
        tasks = [asyncio.create_task(self.commit.submit(number, seconds)) for number in numbers]
        for _ in range(5):
            await asyncio.sleep(0)
        return tasks


async def heard(tasks: Sequence[asyncio.Task[Any]]) -> list[Any]:
    return await asyncio.wait_for(asyncio.gather(*tasks, return_exceptions=True), PATIENCE)


async def cancel(task: asyncio.Task[str]) -> None:
    task.cancel()
    await asyncio.wait({task})


def test_who_comes_alone_goes_at_once_and_the_others_together_in_order() -> None:
    async def scene() -> None:
        hand = Hand()
        tasks = await hand.come(0)
        assert hand.groups == [[0]]
        tasks += await hand.come(3, 1, 2)
        assert hand.groups == [[0]], "one group at a time"

        hand.let_go.set()

        assert await heard(tasks) == ["did 0", "did 3", "did 1", "did 2"]
        assert hand.groups == [[0], [3, 1, 2]]

    asyncio.run(scene())


def test_a_group_has_a_limit() -> None:
    async def scene() -> None:
        hand = Hand(pace=Pace(largest=3))
        tasks = await hand.come(*range(8))
        hand.let_go.set()

        assert await heard(tasks) == [f"did {number}" for number in range(8)]
        assert [len(group) for group in hand.groups] == [3, 3, 2]

    asyncio.run(scene())


@pytest.mark.parametrize(
    ("crowded", "groups"),
    [
        (60.0, [[0], [1, 2, 3], [4, 5], [6]]),  # nobody has waited long: half go at once, so that nobody takes turns
        (0.0, [[0], [1, 2, 3, 4, 5, 6]]),  # somebody has: then all go
    ],
)
def test_of_many_who_wait_half_go_until_somebody_has_waited_long(crowded: float, groups: list[list[int]]) -> None:
    async def scene() -> None:
        hand = Hand(pace=Pace(at_once=2, crowded=crowded))
        tasks = await hand.come(0)
        tasks += await hand.come(*range(1, 7))
        hand.let_go.set()

        assert await heard(tasks) == [f"did {number}" for number in range(7)]
        assert hand.groups == groups

    asyncio.run(scene())


@pytest.mark.parametrize(("clients", "seconds"), [(60, 0.4), (200, 0.2)])
def test_a_slow_database_answers_everyone_that_it_could(clients: int, seconds: float) -> None:
    async def slow(group: Sequence[int]) -> list[int]:
        await asyncio.sleep(seconds)
        return list(group)

    async def scene() -> None:
        commit = GroupCommit[int, int](slow)
        tasks = [asyncio.create_task(commit.submit(number)) for number in range(clients)]

        assert await heard(tasks) == list(range(clients))

    asyncio.run(scene())


def test_a_group_leaves_before_the_answers_to_the_one_before_are_written() -> None:
    async def scene() -> None:
        left_when_told: list[int] = []

        async def come(number: int) -> None:
            await hand.commit.submit(number)
            left_when_told.append(len(hand.groups))

        hand = Hand()
        first = asyncio.create_task(come(0))
        await hand.come()
        others = await hand.come(1, 2)
        hand.let_go.set()
        await heard([first, *others])

        assert left_when_told == [2], "the database has work meanwhile"

    asyncio.run(scene())


def test_who_is_cancelled_before_the_group_leaves_never_left() -> None:
    async def scene() -> None:
        hand = Hand()
        tasks = await hand.come(0, *range(10, 12))
        behind = await hand.come(1, 2, 3)
        await cancel(behind[1])

        hand.let_go.set()

        assert await heard([*tasks, behind[0], behind[2]]) == ["did 0", "did 10", "did 11", "did 1", "did 3"]
        assert hand.groups == [[0, 10, 11], [1, 3]]

    asyncio.run(scene())


def test_when_all_of_a_group_are_cancelled_nothing_is_executed() -> None:
    async def scene() -> None:
        hand = Hand()
        [first] = await hand.come(0)
        for gone in await hand.come(1, 2):
            await cancel(gone)
        hand.let_go.set()

        assert await heard([first, *await hand.come(3)]) == ["did 0", "did 3"]
        assert hand.groups == [[0], [3]]

    asyncio.run(scene())


def test_who_is_cancelled_on_the_way_disturbs_nobody() -> None:
    async def scene() -> None:
        hand = Hand()
        tasks = await hand.come(1, 2, 3)
        await cancel(tasks[1])

        hand.let_go.set()

        assert await heard([tasks[0], tasks[2]]) == ["did 1", "did 3"]
        assert hand.groups == [[1, 2, 3]], "it had left"

    asyncio.run(scene())


def test_when_the_database_does_not_answer_all_are_told_so_and_nobody_is_tried_again() -> None:
    def nothing(group: Sequence[int]) -> None:
        raise DatabaseUnavailable("away")

    async def scene() -> None:
        hand = Hand(nothing)
        tasks = await hand.come(1, 2, 3)
        hand.let_go.set()

        assert [type(each) for each in await heard(tasks)] == [DatabaseUnavailable] * 3
        await hand.commit.close()
        assert hand.groups == [[1, 2, 3]]

    asyncio.run(scene())


@pytest.mark.parametrize("error", [ValueError("refused"), DatabaseBusy("somebody else has it")])
def test_a_group_that_is_refused_is_tried_one_by_one_and_only_the_bad_one_fails(error: Exception) -> None:
    def refuse(group: Sequence[int]) -> None:
        if 2 in group:
            raise error

    async def scene() -> None:
        hand = Hand(refuse)
        tasks = await hand.come(1, 2, 3)
        hand.let_go.set()

        assert await heard(tasks) == ["did 1", error, "did 3"]
        assert hand.groups == [[1, 2, 3], [1], [2], [3]], "and the bad one no third time"

    asyncio.run(scene())


def test_one_tried_alone_holds_up_nobody_who_comes_later() -> None:
    async def scene() -> None:
        stuck = asyncio.Event()

        async def execute(group: Sequence[int]) -> list[str]:
            if len(group) > 1:
                raise ValueError("refused")
            if group == [2]:
                await stuck.wait()
            return ["done"]

        commit = GroupCommit[int, str](execute)
        tasks = [asyncio.create_task(commit.submit(each)) for each in (1, 2)]
        assert await asyncio.wait_for(tasks[0], PATIENCE) == "done"
        assert await asyncio.wait_for(commit.submit(3), PATIENCE) == "done"
        assert not tasks[1].done()
        stuck.set()
        assert await heard(tasks) == ["done", "done"]

    asyncio.run(scene())


def test_nobody_waits_for_ever() -> None:
    async def scene() -> None:
        hand = Hand(pace=Pace(reserve=0.05))
        tasks = await hand.come(1, seconds=0.1)
        tasks += await hand.come(2, 3, seconds=0.1)

        assert [type(each) for each in await heard(tasks)] == [DatabaseUnavailable] * 3
        assert hand.groups == [[1]]

        hand.let_go.set()
        assert await heard(await hand.come(4)) == ["did 4"]

    asyncio.run(scene())


def test_each_of_a_group_is_judged_by_its_own_wait() -> None:
    """Those who came when the first had waited for long are answered, though the first can't be."""

    async def scene() -> None:
        hand = Hand(pace=Pace(reserve=0.01))
        tasks = []
        for number, seconds in ((1, 0.1), (2, 0.2), (3, 60.0), (4, 60.0)):
            tasks += await hand.come(number, seconds=seconds)

        assert [type(each) for each in await heard(tasks[:2])] == [DatabaseUnavailable] * 2
        assert not any(each.done() for each in tasks[2:])
        hand.let_go.set()
        assert await heard(tasks[2:]) == ["did 3", "did 4"]
        assert hand.groups == [[1], [2, 3, 4]], "one group, which went on when its first was answered"

    asyncio.run(scene())


def test_who_waited_behind_for_too_long_takes_no_neighbour_along() -> None:
    async def scene() -> None:
        hand = Hand(pace=Pace(reserve=10.0))
        tasks = []
        for number, seconds in ((1, 60.0), (2, 9.0), (3, 60.0), (4, 60.0)):
            tasks += await hand.come(number, seconds=seconds)
        hand.let_go.set()

        first, late, *others = await heard(tasks)
        assert [first, *others] == ["did 1", "did 3", "did 4"]
        assert type(late) is DatabaseUnavailable
        assert hand.groups == [[1], [3, 4]], "it never left"

    asyncio.run(scene())


def test_a_group_for_which_nobody_waits_any_more_is_given_up() -> None:
    given_up: list[int] = []

    async def execute(group: Sequence[int]) -> list[str]:
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            given_up.extend(group)
            raise
        return []

    async def scene() -> None:
        commit = GroupCommit[int, str](execute, pace=Pace(reserve=0.01))
        only = asyncio.create_task(commit.submit(1, seconds=0.1))
        assert [type(each) for each in await heard([only])] == [DatabaseUnavailable]
        await commit.close()
        until_over = asyncio.all_tasks() - {asyncio.current_task()}
        if until_over:
            await asyncio.wait(until_over)
        assert given_up == [1]

    asyncio.run(scene())


def test_closing_waits_for_what_is_under_way_though_nobody_else_does() -> None:
    finished: list[int] = []

    async def scene() -> None:
        hand = Hand(finished.extend)
        [gone] = await hand.come(1)
        behind = await hand.come(2)
        await cancel(gone)
        closing = asyncio.create_task(hand.commit.close())
        await asyncio.sleep(0.01)
        assert not closing.done()

        hand.let_go.set()

        await asyncio.wait_for(closing, PATIENCE)
        assert finished == [1, 2]
        assert await heard(behind) == ["did 2"]

    asyncio.run(scene())


def test_closing_waits_for_those_who_are_tried_alone() -> None:
    async def scene() -> None:
        go_on = asyncio.Event()

        async def execute(group: Sequence[int]) -> list[str]:
            if len(group) > 1:
                raise ValueError("refused")
            await go_on.wait()
            return ["done"]

        commit = GroupCommit[int, str](execute)
        tasks = [asyncio.create_task(commit.submit(each)) for each in (1, 2)]
        await asyncio.sleep(0.01)
        closing = asyncio.create_task(commit.close())
        await asyncio.sleep(0.01)
        assert not closing.done()

        go_on.set()

        await asyncio.wait_for(closing, PATIENCE)
        assert await heard(tasks) == ["done", "done"]

    asyncio.run(scene())


def test_with_too_little_time_left_no_request_is_started() -> None:
    async def scene() -> None:
        hand = Hand(pace=Pace(reserve=WAIT_SECONDS + 1))
        hand.let_go.set()

        assert [type(each) for each in await heard(await hand.come(1, 2))] == [DatabaseUnavailable] * 2
        assert hand.groups == []

    asyncio.run(scene())
