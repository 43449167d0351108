"""What the steps of the delivery model are made of: what relays and workers do, and what was the cause of it."""

from collections import Counter

from hypothesis.stateful import RuleBasedStateMachine

from messaging.wire.receipt import Outcome, Receipt

from .delivery_moves import Cause, Looked, Nothing, Told
from .delivery_world import Held, Relay, Worker, World
from .workers import EPOCH

Outcomes = tuple[Outcome, Outcome, Outcome]


class Steps(RuleBasedStateMachine):
    """`known`: the deliveries as they were last judged. `cause`: what has been done since. `heard`: all receipts.

    `ended`: how often a delivery became `succeeded` or `failed`.
    """

    def __init__(self, world: World) -> None:
        super().__init__()
        world.begin_again()
        self.world = world
        self.events = 0
        self.heard: list[Receipt] = []
        self.known = world.rows()
        self.cause: Cause = Nothing()
        self.ended: Counter[str] = Counter()

    def relay(self, number: int) -> Relay:
        return self.world.relays[number]

    def are_there(self, *states: str) -> bool:
        return any(row.state in states for row in self.known.values())

    def apply(self, relay: int, receipts: list[Receipt]) -> None:
        self.cause = Told(receipts)
        self.heard += [each for each in receipts if each not in self.heard]
        self.relay(relay).applier.apply(receipts)

    def look_once(self, relay: int) -> None:
        self.cause = self.looked()
        self.relay(relay).reconciler.reconcile()
        assert self.world.redis.exists(EPOCH), "every look would take Redis for wiped"

    def looked(self, *, killed: bool = False) -> Looked:
        """Note how things are before a relay looks."""
        wiped, stored = not self.world.redis.exists(EPOCH), self.world.stored()
        return Looked(self.world.now(), wiped, stored, stored & self.world.held_by_silent(), killed)

    def go_on_meanwhile(self, relay: Relay, end: Outcome) -> None:
        for worker in self.world.workers:
            for held in worker.hands:
                if held.stage == "begun" and not worker.hangs:
                    self.world.end_handlers(held, (end, end, end), None)
        told, self.world.post = self.world.post, []
        relay.applier.apply(told)
        self.world.pass_time(150)
        relay.reconciler.reconcile()
        relay.dispatcher.dispatch()

    def work_off(self, worker: Worker, end: Outcome) -> None:
        """Let a worker do all that is there to be done."""
        worker.wake_up()
        worker.fetch_all()
        while worker.hands:
            self.go_on(worker, worker.hands[0], (end, end, end), None)

    def begin_all(self, worker: Worker) -> None:
        if worker.hangs:
            return
        worker.fetch_all()
        for held in worker.hands:
            if held.stage == "fetched":
                self.world.begin_handlers(held)

    def stop_in_order(self, worker: Worker) -> None:
        """Let what a worker has begun come to its end, and hand back the rest."""
        for held in list(worker.hands):
            while held.stage != "fetched" and held in worker.hands:
                self.go_on(worker, held, ("succeeded", "handed_back", "handed_back"), None)
        worker.shut_down()

    def go_on(self, worker: Worker, held: Held, ends: Outcomes, after: float | None) -> None:
        """Begin with a message, end it or acknowledge it. `ends`: of each of its deliveries."""
        if held.stage == "fetched":
            self.world.begin_handlers(held)
        elif held.stage == "begun":
            self.world.end_handlers(held, ends, after)
        else:
            worker.acknowledge(held)
