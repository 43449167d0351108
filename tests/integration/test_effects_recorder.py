"""Records: within 50 ms, in groups, whatever the threads do, the worker ends or the database is."""

import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from uuid import UUID

import psycopg
import pytest
from psycopg_pool import PoolTimeout
from structlog.testing import capture_logs
from tests.patience import PATIENCE, until

from messaging.effects import recorder as recording
from messaging.effects.claims import Claim, Ending
from messaging.effects.recorder import Recorder
from messaging.errors import LedgerSlow

from .effect_world import Consumer, address, kinds


@pytest.fixture
def consumer(effects_database: str) -> Iterator[Consumer]:
    consumer = Consumer(effects_database)
    yield consumer
    consumer.ledger.close()


@pytest.fixture
def thread() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(4) as threads:
        yield threads


def test_while_a_provider_lets_one_effect_wait_those_before_it_are_recorded(
    consumer: Consumer, thread: ThreadPoolExecutor
) -> None:
    answer = threading.Event()
    consumer.provider.meanwhile[address(3)] = answer.wait

    outcomes = thread.submit(consumer.attempt, 1, 2, 3, 4)
    until(lambda: consumer.states() == ["claimed", "claimed", "done", "done"])
    answer.set()

    assert outcomes.result() == [None] * 4


def test_the_endings_of_all_threads_share_a_record(consumer: Consumer, thread: ThreadPoolExecutor) -> None:
    sizes: list[int] = []
    record = consumer.ledger.record

    def counted(endings: Sequence[Ending]) -> Mapping[UUID, int]:
        sizes.append(len(endings))
        return record(endings)

    consumer.ledger.recorder._record = counted
    together = threading.Barrier(4)
    for number in range(4):
        consumer.provider.meanwhile[address(number)] = together.wait

    outcomes = [thread.submit(consumer.attempt, number, number + 10) for number in range(4)]

    assert [outcome.result() for outcome in outcomes] == [[None, None]] * 4
    assert sum(sizes) == 8
    assert len(sizes) < 8


def endings(number: int) -> list[Ending]:
    return [Ending(Claim(UUID(int=index), "welcome_email", 0), "done") for index in range(number)]


def test_an_ending_is_recorded_within_50_ms_though_no_thread_waits_for_it() -> None:
    recorded = threading.Event()

    def record(endings: Sequence[Ending]) -> Mapping[UUID, int]:
        recorded.set()
        return {}

    began = time.monotonic()
    Recorder(record).add(endings(1)[0])

    assert recorded.wait(10)
    assert time.monotonic() - began >= recording.WITHIN


def test_a_thread_that_waits_has_its_endings_recorded_at_once() -> None:
    recorder = Recorder(lambda endings: {ending.claim.token: 0 for ending in endings})
    added = {ending: recorder.add(ending) for ending in endings(3)}

    assert recorder.wait(added, threading.Event()) == dict.fromkeys(added, 0)


@pytest.mark.parametrize(
    "trouble",
    [psycopg.OperationalError("away"), psycopg.errors.ReadOnlySqlTransaction("read-only"), psycopg.DatabaseError("?")],
)
def test_a_record_is_tried_until_the_ledger_takes_it(trouble: psycopg.Error) -> None:
    troubles = [trouble] * 3

    def record(endings: Sequence[Ending]) -> Mapping[UUID, int]:
        if troubles:
            raise troubles.pop()
        return {ending.claim.token: 0 for ending in endings}

    recorder = Recorder(record)
    added = {ending: recorder.add(ending) for ending in endings(2)}

    assert recorder.wait(added, threading.Event()) == dict.fromkeys(added, 0)


def test_a_worker_that_stops_while_the_ledger_is_away_says_what_is_not_recorded() -> None:
    def record(endings: Sequence[Ending]) -> Mapping[UUID, int]:
        raise psycopg.OperationalError("away")

    recorder = Recorder(record, close_seconds=0.1)
    added = {ending: recorder.add(ending) for ending in endings(2)}
    stopping = threading.Event()
    stopping.set()

    with capture_logs() as lines:
        assert recorder.wait(added, stopping) == dict.fromkeys(added, 0), "done is done"

    assert [line["event"] for line in lines] == ["effect.not_recorded"] * 2


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_when_the_recorder_dies_the_thread_that_waits_records_itself() -> None:
    first = [SystemError("out of order")]

    def record(endings: Sequence[Ending]) -> Mapping[UUID, int]:
        if first:
            raise first.pop()
        return {ending.claim.token: 0 for ending in endings}

    recorder = Recorder(record)
    added = {ending: recorder.add(ending) for ending in endings(2)}

    assert recorder.wait(added, threading.Event()) == dict.fromkeys(added, 0)
    assert recorder.is_dead


def test_what_is_left_is_recorded_when_the_recorder_is_closed() -> None:
    recorded: list[Ending] = []

    def record(endings: Sequence[Ending]) -> Mapping[UUID, int]:
        recorded.extend(endings)
        return {}

    recorder = Recorder(record)
    [ending] = endings(1)
    recorder.add(ending)

    recorder.close()

    assert recorded == [ending]


# PostgreSQL away, slow or read-only


def test_a_lapse_of_postgresql_repeats_no_effect_that_is_done(consumer: Consumer) -> None:
    def cut_connections() -> None:
        consumer.rows(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )

    consumer.provider.meanwhile = {address(number): cut_connections for number in (3, 9)}

    assert consumer.attempt(*range(10)) == [None] * 10
    assert consumer.states() == ["done"] * 10


def test_a_claim_whose_answer_got_lost_is_given_back(consumer: Consumer, monkeypatch: pytest.MonkeyPatch) -> None:
    claim = consumer.ledger.claim

    def answer_lost(claims: Sequence[Claim]) -> set[UUID]:
        claim(claims)
        raise psycopg.OperationalError("cut")

    monkeypatch.setattr(consumer.ledger, "claim", answer_lost)

    assert kinds(consumer.attempt(*range(25))) == [psycopg.OperationalError] * 25
    until(lambda: consumer.states() == ["released"] * 10)
    assert consumer.provider.tried == 0


@pytest.mark.parametrize(
    ("error", "undone"),
    [
        (PoolTimeout("nobody got it"), True),
        (psycopg.errors.ReadOnlySqlTransaction(), True),
        (psycopg.errors.UndefinedTable(), True),
        (psycopg.OperationalError("the connection is lost"), False),
        (psycopg.errors.AdminShutdown(), False),
        (ValueError("a bug"), False),
    ],
)
def test_a_claim_that_was_certainly_not_granted_needs_no_release(
    consumer: Consumer, monkeypatch: pytest.MonkeyPatch, error: Exception, undone: bool
) -> None:
    released: list[Ending] = []

    def refuse(claims: Sequence[Claim]) -> set[UUID]:
        raise error

    monkeypatch.setattr(consumer.ledger, "claim", refuse)
    monkeypatch.setattr(consumer.ledger.recorder, "add", released.append)

    assert consumer.attempt(*range(25)) == [error] * 25
    assert len(released) == (0 if undone else 10)


@pytest.mark.parametrize("after", [0, 2, 9])
def test_a_locked_ledger_repeats_nothing_and_blames_nobody_else(
    consumer: Consumer, thread: ThreadPoolExecutor, after: int
) -> None:
    unlock = threading.Event()
    locked = threading.Event()

    def hold_the_lock() -> None:
        with psycopg.connect(consumer.url) as connection:
            connection.execute("LOCK TABLE effects IN ACCESS EXCLUSIVE MODE")
            locked.set()
            unlock.wait(PATIENCE)

    def lock() -> None:
        thread.submit(hold_the_lock)
        locked.wait()

    consumer.provider.meanwhile[address(after)] = lock
    with capture_logs() as lines:
        outcomes = thread.submit(consumer.attempt, *range(25))
        locked.wait()
        time.sleep(1.5)  # as long as the lock is held
        unlock.set()

        assert outcomes.result() == [None] * 25

    assert consumer.provider.done == [address(number) for number in range(25)]
    assert {line["event"] for line in lines} == {"ledger.slow"}


def test_a_ledger_that_takes_longer_than_its_claims_is_named(
    consumer: Consumer, monkeypatch: pytest.MonkeyPatch
) -> None:
    consumer.ledger.lease = consumer.ledger.limit + 1.0 + 0.2  # any claim is prolonged after 0.2 seconds
    renew = consumer.ledger.renew

    def slowly(claims: Sequence[Claim]) -> set[UUID]:
        time.sleep(0.3)
        return renew(claims)

    monkeypatch.setattr(consumer.ledger, "renew", slowly)
    consumer.provider.meanwhile[address(0)] = lambda: time.sleep(0.3)

    outcomes = consumer.attempt(*range(25))

    assert outcomes[0] is None
    assert set(kinds(outcomes[1:])) == {LedgerSlow}
    until(lambda: "claimed" not in consumer.states())


def test_a_database_that_is_read_only_while_recording_is_waited_for(
    consumer: Consumer, thread: ThreadPoolExecutor
) -> None:
    name = psycopg.conninfo.conninfo_to_dict(consumer.url)["dbname"]

    def become_read_only() -> None:
        consumer.rows(f"ALTER DATABASE {name} SET default_transaction_read_only = on")
        consumer.rows(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )

    consumer.provider.meanwhile[address(1)] = become_read_only

    with capture_logs() as lines:
        outcomes = thread.submit(consumer.attempt, 1, 2, 3)
        until(lambda: any("read-only" in line.get("error", "") for line in lines))
        assert consumer.states() == ["claimed"] * 3
        with psycopg.connect(consumer.url, autocommit=True) as connection:
            connection.execute("SET default_transaction_read_only = off")
            connection.execute(f"ALTER DATABASE {name} RESET default_transaction_read_only".encode())
        assert outcomes.result(30) == [None] * 3

    assert consumer.states() == ["done"] * 3
