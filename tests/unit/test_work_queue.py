"""A worker's threads wake for messages and for the end, and for nothing else."""

import threading
from queue import Empty

import pytest
from dramatiq.common import iter_queue
from tests.patience import PATIENCE

from messaging.consuming.work_queue import WorkQueue


def get(queue: WorkQueue, got: list[object]) -> threading.Thread:
    """Get one item in a thread, as Dramatiq's workers do."""

    def work() -> None:
        try:
            got.append(queue.get(timeout=0.001))
        except Empty:
            got.append(Empty)

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    return thread


def test_an_empty_queue_is_waited_for_beyond_any_timeout() -> None:
    queue, got = WorkQueue(), list[object]()
    thread = get(queue, got)
    thread.join(0.2)
    assert thread.is_alive()

    queue.put(7)

    thread.join(PATIENCE)
    assert got == [7]


def test_closing_wakes_everyone() -> None:
    queue, got = WorkQueue(), list[object]()
    threads = [get(queue, got) for _ in range(3)]

    queue.close()

    for thread in threads:
        thread.join(PATIENCE)
    assert got == [Empty] * 3


def test_what_is_left_in_a_closed_queue_can_be_had_or_handed_back() -> None:
    queue = WorkQueue()
    for number in (1, 2, 3):
        queue.put(number)
    queue.close()

    assert queue.get() == 1
    assert list(iter_queue(queue)) == [2, 3]  # type: ignore[no-untyped-call]  # Dramatiq's own


def test_nobody_waits_who_does_not_want_to() -> None:
    with pytest.raises(Empty):
        WorkQueue().get_nowait()
