"""The state machine of a delivery, played against everything that can go wrong, in any order.

Hypothesis writes the play. Two relays on one PostgreSQL and one Redis, all of them real, claim, enqueue, apply receipts
and look for what got lost; each can be killed or suspended in the middle. Two workers fetch, begin, end and
acknowledge messages; each can be killed at any moment, with or without having done the work, or hang and come back
later with news of long ago. Receipts are applied in any order, together or alone, twice or never. Redis is wiped, the
clock moves, operators retry, cancel, confirm and replay. That world is `delivery_world.py`.

After every step, whatever it was:
- A finished delivery moves only when an operator says so, in the next generation, or when the effect of a cancelled
  or uncertain one turns out to be there, or an operator confirms it; `dispatch` and `generation` never fall.
- Attempts stay within the policy's, and within what handlers really began; crashes stay within the policy's.
- Whatever is queued or running has a lease and a message; whatever is pending or retrying has a due time.
- What is said to have succeeded has had its effect; what failed says why.
- Each attempt that ended without success is recorded by the step that ended it, and nothing else is.
- Each move has the cause that docs/deliveries.md gives for it, and what must move has moved: `delivery_moves.py`.

At the end everything is healed and time goes on, and then no delivery is left unfinished and no message in Redis.
"""

import logging
import sys
from datetime import UTC, datetime, timedelta
from typing import Literal
from uuid import UUID

import pytest
import redis
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from structlog.testing import capture_logs
from tests.conftest import user_registered

from contracts import EventData, Subscription
from devstack.redis_server import RedisServer
from messaging import publish
from messaging.publishing.confirming import CONFIRM, confirming
from messaging.publishing.operations import CANCEL, REPLAY, RETRY_BY_OPERATOR, cancelling, replaying, retrying
from messaging.publishing.states import DUE, FINAL, IN_FLIGHT
from messaging.wire.receipt import OUTCOMES, Outcome
from users_api import PUBLISHER

from .delivery_moves import Asked, Cancelled, Claimed, Confirmed, Crossed, Nothing, Released
from .delivery_steps import Outcomes, Steps
from .delivery_world import (
    SUBSCRIPTIONS,
    Killed,
    group_size,
    key_of,
    messages_of,
    policy,
    world,
)

MOST_EVENTS = 5
ROUNDS_TO_HEAL = 40

relays = st.integers(0, 1)
workers = st.integers(0, 1)
places = st.integers(0, 20)
outcomes = st.sampled_from(["succeeded", "retry", "retry", "failed", "uncertain", "handed_back"])
picks = st.lists(places, min_size=1, max_size=6)
afters = st.sampled_from([None, 0.0, 90.0])
blows = st.lists(st.sampled_from(["its worker", "Redis"]), min_size=1, max_size=3)


class Deliveries(Steps):
    """The play: every rule may come next, and after each the invariants hold."""

    # What is meant to happen

    @initialize(number=st.integers(1, 3))
    def begin(self, number: int) -> None:
        self.world.relays[0].reconciler.reconcile()  # it has run for a while: Redis is not new
        self.register(number, 0)

    @precondition(lambda self: self.events < MOST_EVENTS)
    @rule(number=st.integers(1, 2), delay=st.sampled_from([0, 60]))
    def register(self, number: int, delay: int) -> None:
        numbers = range(self.events + 1, self.events + number + 1)
        events = [user_registered(each).model_copy(update={"id": UUID(int=each)}) for each in numbers]
        self.events += number
        due = self.world.now() + timedelta(seconds=delay)
        self.world.database.execute(*publish(events, available_at=due))

    @precondition(lambda self: self.are_there(*DUE))
    @rule(relay=relays)
    def dispatch(self, relay: int) -> None:
        self.cause = Claimed(self.world.now())
        self.relay(relay).dispatcher.dispatch()

    @rule(worker=workers, steps=st.integers(1, 4), ends=st.tuples(outcomes, outcomes, outcomes), after=afters)
    def work(self, worker: int, steps: int, ends: Outcomes, after: float | None) -> None:
        """Let a worker do what comes next, so many times: wake up, fetch, or go on with its first message."""
        it = self.world.workers[worker]
        for _ in range(steps):
            if it.hangs:
                it.wake_up()
            elif it.hands:
                self.go_on(it, it.hands[0], ends, after)
            else:
                it.fetch_all()

    @rule(end=outcomes, times=st.integers(1, 3))
    def quiet_minutes(self, end: Outcome, times: int) -> None:
        """Let nothing go wrong but what handlers say themselves: all of them end alike, and what is due is enqueued."""
        for _ in range(times):
            for worker in self.world.workers:
                self.work_off(worker, end)
            self.all_receipts_arrive(0)
            self.all_is_well()
            self.look(0, 150)
            self.all_is_well()
            self.dispatch(1)
            self.all_is_well()

    @precondition(lambda self: self.world.post)
    @rule(relay=relays, picked=picks)
    def some_receipts_arrive(self, relay: int, picked: list[int]) -> None:
        """Apply some receipts in one round, in any order."""
        told = [self.world.post[place % len(self.world.post)] for place in picked]
        self.world.post = [each for each in self.world.post if each not in told]
        self.apply(relay, told)

    @precondition(lambda self: self.world.post)
    @rule(relay=relays)
    def beginnings_are_heard(self, relay: int) -> None:
        """Apply what handlers that take their time have reported so far."""
        told = [each for each in self.world.post if each.outcome == "started"]
        self.world.post = [each for each in self.world.post if each.outcome != "started"]
        self.apply(relay, told)

    @precondition(lambda self: self.world.post)
    @rule(relay=relays)
    def all_receipts_arrive(self, relay: int) -> None:
        told, self.world.post = self.world.post, []
        self.apply(relay, told)

    @rule(relay=relays, seconds=st.sampled_from([6, 20, 150]))
    def look(self, relay: int, seconds: int) -> None:
        """Let a relay look, and look again after a while: it believes a worker dead only when it has watched it."""
        self.look_once(relay)
        self.all_is_well()
        self.world.pass_time(seconds)
        self.look_once(relay)

    @rule(seconds=st.sampled_from([5, 20, 70, 150]))
    def time_passes(self, seconds: int) -> None:
        self.world.pass_time(seconds)

    @precondition(lambda self: self.are_there("failed", "uncertain", "cancelled"))
    @rule(place=places)
    def operator_retries(self, place: int) -> None:
        key = sorted(self.known)[place % len(self.known)]
        self.cause = Asked(("failed", "uncertain", "cancelled"), lambda row: row.key == key)
        self.world.database.execute(RETRY_BY_OPERATOR, retrying(*key, None))

    @precondition(lambda self: self.are_there(*DUE))
    @rule(place=places)
    def operator_cancels(self, place: int) -> None:
        key = sorted(self.known)[place % len(self.known)]
        self.cause = Cancelled(key)
        self.world.database.execute(CANCEL, cancelling(*key, None))

    @precondition(lambda self: self.are_there("uncertain"))
    @rule(place=places)
    def operator_confirms(self, place: int) -> None:
        """Confirm a delivery, if it is uncertain: then its effect has happened. The event has no delivery here."""
        key = sorted(self.known)[place % len(self.known)]
        self.cause = Confirmed(key)
        if self.known[key].state == "uncertain":
            self.world.effects.add(key)
        parameters = confirming([key], source=PUBLISHER, by=None)
        self.world.database.execute(CONFIRM, parameters | {"names": [], "event_types": [], "delays": []})

    @precondition(lambda self: self.are_there("failed", "succeeded"))
    @rule(subscription=st.sampled_from(SUBSCRIPTIONS), succeeded=st.booleans())
    def operator_replays(self, subscription: Subscription[EventData], succeeded: bool) -> None:
        which = ("failed", "succeeded") if succeeded else ("failed",)
        self.cause = Asked(which, lambda row: row.subscription == subscription.name)
        since = datetime(2000, 1, 1, tzinfo=UTC)
        self.world.database.execute(REPLAY, replaying(subscription, since, succeeded=succeeded))

    # What goes wrong

    @rule(
        worker=workers, relay=relays, blows=st.lists(st.sampled_from(["its worker", "Redis"]), min_size=1, max_size=3)
    )
    def work_is_cut_off(self, worker: int, relay: int, blows: list[str]) -> None:
        """Let work begin, be seen to run, be cut off by the end of its worker or of Redis, and be found; repeatedly."""
        it = self.world.workers[worker]
        for blow in blows:
            self.world.pass_time(70)
            self.dispatch(relay)
            self.begin_all(it)
            self.all_is_well()
            self.beginnings_are_heard(relay)
            self.all_is_well()
            if blow == "Redis":
                self.redis_is_wiped()
            else:
                it.die()
            self.look(relay, 6)
            self.all_is_well()

    @rule(worker=workers, done=st.booleans())
    def worker_dies(self, worker: int, done: bool) -> None:
        """Kill a worker. `done`: what it had begun has had its effect, and nobody has heard."""
        it = self.world.workers[worker]
        if done:
            self.world.effects |= {key for held in it.hands if held.stage == "begun" for key in held.keys}
        it.die()

    @rule(worker=workers, how=st.sampled_from(["hangs", "loses a fetch", "is stopped"]))
    def worker_falters(self, worker: int, how: str) -> None:
        it = self.world.workers[worker]
        if it.hangs:
            return
        if how == "hangs":
            it.hang()
        elif how == "loses a fetch":
            it.lose_fetches()
        else:
            self.stop_in_order(it)

    @precondition(lambda self: self.heard)
    @rule(relay=relays, outcome=st.sampled_from(OUTCOMES))
    def old_receipts_arrive_again(self, relay: int, outcome: Outcome) -> None:
        self.apply(relay, [each for each in self.heard if each.outcome == outcome])

    @precondition(lambda self: self.world.post)
    @rule(place=places)
    def receipts_are_lost(self, place: int) -> None:
        del self.world.post[place % len(self.world.post) :]

    @precondition(lambda self: self.are_there(*DUE))
    @rule(relay=relays, dies=st.booleans(), written=st.booleans())
    def relay_falters_as_it_enqueues(self, relay: int, dies: bool, written: bool) -> None:
        """Kill a relay as it enqueues, or give it no answer. `written`: Redis has the messages all the same."""
        self.cause = Claimed(self.world.now(), given_back=not dies)
        self.relay(relay).dispatch_in_trouble(Killed() if dies else redis.TimeoutError(), written=written)

    @precondition(lambda self: self.are_there(*DUE))
    @rule(relay=relays, found=st.booleans())
    def relay_stalls_before_it_enqueues(self, relay: int, found: bool) -> None:
        """Suspend a relay when it has claimed. `found`: so long that the other enqueues the same."""
        self.cause = Claimed(self.world.now())
        self.relay(relay).stall()
        if found:
            self.all_is_well()
            self.world.pass_time(20)
            self.look_once(1 - relay)
            self.all_is_well()
            self.dispatch(1 - relay)

    @precondition(lambda self: any(each.stalled for each in self.world.relays))
    @rule(answered=st.booleans())
    def stalled_relays_go_on(self, answered: bool) -> None:
        """Let relays enqueue what they claimed long ago, whatever has become of it. Or Redis doesn't answer."""
        claimed = [each for relay in self.world.relays for each in relay.stalled]
        self.cause = Nothing() if answered else Released({(*key_of(each), each.dispatch) for each in claimed})
        for relay in self.world.relays:
            relay.go_on(answered=answered)

    @rule(relay=relays, after=st.sampled_from(["_taken", "_missing"]))
    def relay_dies_while_it_looks(self, relay: int, after: Literal["_taken", "_missing"]) -> None:
        self.cause = self.looked(killed=True)
        self.relay(relay).die_while_looking(after)

    @rule(relay=relays, wiped=st.booleans(), end=outcomes)
    def relays_cross(self, relay: int, wiped: bool, end: Outcome) -> None:
        """Suspend a relay when it has found messages missing and not yet said so; all others go on meanwhile."""
        self.world.pass_time(150)
        if wiped:
            self.redis_is_wiped()
        self.cause = Crossed()
        self.relay(relay).look_slowly(lambda: self.go_on_meanwhile(self.relay(1 - relay), end))

    @rule()
    def redis_is_wiped(self) -> None:
        self.world.redis.flushall()

    # What must be true after every step

    @invariant()
    def all_is_well(self) -> None:
        self.every_move_has_its_cause()
        self.every_delivery_is_sound()
        self.every_error_has_its_attempt()
        self.messages_are_packed_as_promised()
        self.every_end_is_counted_once()

    def every_end_is_counted_once(self) -> None:
        counted = self.world.counted()
        assert {state: counted.get(state, 0) for state in ("succeeded", "failed")} == {
            state: self.ended[state] for state in ("succeeded", "failed")
        }

    def every_move_has_its_cause(self) -> None:
        known = self.world.rows()
        assert self.known.keys() <= known.keys()
        for key, before in self.known.items():
            after = known[key]
            assert after.dispatch >= before.dispatch
            assert before.generation <= after.generation <= before.generation + 1
            late = before.state in ("cancelled", "uncertain") and after.state == "succeeded"
            if before.state in FINAL and after != before and not late:
                assert after.generation == before.generation + 1, "what is final moves only in a new generation"
            self.cause.judge(before, after)
            if after.state in ("succeeded", "failed") and (before.state, before.generation) != (
                after.state,
                after.generation,
            ):
                self.ended[after.state] += 1
        self.known, self.cause = known, Nothing()

    def every_delivery_is_sound(self) -> None:
        for key, row in self.known.items():
            assert (row.due_at is not None) == (row.state in DUE)
            assert (row.lease_until is not None) == (row.state in IN_FLIGHT) == (row.message_id is not None)
            assert 0 <= row.attempts <= policy(row).max_attempts
            assert row.attempts <= self.world.begun[key], "more attempts than any handler began"
            assert 0 <= row.crashes <= policy(row).max_crashes
            assert row.state != "succeeded" or key in self.world.effects, "its effect was lost"
            assert (row.finished_at is not None) == (row.state in FINAL)
            assert row.state != "failed" or row.last_error

    def every_error_has_its_attempt(self) -> None:
        """What failed, is uncertain or retrying after an attempt of its own is where its newest attempt left it."""
        for row in self.known.values():
            assert len(row.history) <= 10
            if row.state in ("failed", "uncertain"):
                assert row.history, "it ended, and no attempt says so"
                _, generation, number, outcome = row.history[-1]
                assert (generation, number) == (row.generation, row.attempts)
                assert outcome in (("uncertain",) if row.state == "uncertain" else ("failed", "retry", "crashed"))

    def messages_are_packed_as_promised(self) -> None:
        """Up to group_size in each; what has crashed travels alone, what has crashed twice one at a time too."""
        messages = messages_of(row for row in self.known.values() if row.state in IN_FLIGHT)
        for rows in messages:
            assert len({row.subscription for row in rows}) == 1
            assert len(rows) <= group_size(rows[0])
            assert len(rows) == 1 or not any(row.crashes for row in rows)
        suspects = [rows[0].subscription for rows in messages if rows[0].crashes >= 2]
        assert len(suspects) == len(set(suspects))

    def teardown(self) -> None:
        if sys.exception() is None:
            self.heal()

    def heal(self) -> None:
        """Let everything work, and time go on: then every delivery comes to its end."""
        for _ in range(ROUNDS_TO_HEAL):
            self.quiet_minutes("succeeded", 1)
            unfinished = [row for row in self.known.values() if row.state not in FINAL]
            if not unfinished and not self.world.stored():
                return
        raise AssertionError(f"never finished: {unfinished}, never fetched: {self.world.stored()}")


def test_whatever_is_killed_wiped_or_late_no_effect_is_lost(
    users_database: str, redis_server: RedisServer, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.ERROR, "dramatiq")
    with capture_logs(), world(users_database, redis_server.url) as made:
        run_state_machine_as_test(
            lambda: Deliveries(made),  # type: ignore[arg-type]  # any factory will do, says its docstring
            settings=settings(
                max_examples=70,
                stateful_step_count=50,
                deadline=None,
                print_blob=True,
                suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much, HealthCheck.data_too_large],
            ),
        )
