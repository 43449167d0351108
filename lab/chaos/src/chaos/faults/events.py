"""Events that consumers can't handle: one that kills, one of a newer version."""

import psycopg

from chaos.fault import Fault, Trial
from chaos.ledger import DELIVERIES, Ledger
from chaos.producer import insert_user
from chaos.sabotage.events import NewerUserRegistered
from chaos.sink import Mailed
from chaos.system import Unsettled
from contracts import WELCOME_EMAIL, UserRegistered
from messaging.effects.ledger import MAX_DOUBTS
from messaging.publishing.switches import effects_of

POISON = "poison@example.com"


class Poison(Fault):
    """A worker that handles one certain event dies, each time, and the notifier is always started again."""

    number = 16
    follow_up = False  # one poison for each event
    title = "a poison event: a handler that kills its process"
    environment = {"MAIL_TIMEOUT": "4"}
    share = 0.5

    def prepare(self, trial: Trial) -> None:
        self._in_flight: set[Mailed] = set()
        self._deaths = 0
        trial.system.sabotage("notifier", f"poison:{POISON}", lasting=True)

    def strike(self, trial: Trial) -> None:
        trial.wait_for_share(trial.dice.uniform(0.2, 0.6))
        trial.beside[POISON] = trial.system.register("poison")["id"]
        trial.strike_now()
        while not self._given_up(trial):
            trial.system.until(lambda: self._given_up(trial) or not trial.system.processes["notifier"].running)
            if not trial.system.processes["notifier"].running:
                self._deaths += 1
                self._in_flight |= trial.system.claimed()
                if self._deaths > 2 * WELCOME_EMAIL.retry.max_crashes:
                    raise Unsettled(f"died {self._deaths} times, and its delivery hasn't ended")
                trial.system.replace("notifier")
            trial.progress(f"died {self._deaths} times")

    def _given_up(self, trial: Trial) -> bool:
        query = DELIVERIES + "AND email = %(email)s AND deliveries.state IN ('failed', 'uncertain')"
        return bool(trial.system.query("users", query, {"email": POISON}))

    def judge(self, trial: Trial, ledger: Ledger) -> None:
        state, _, crashes, _ = ledger.states[POISON, "welcome_email"]
        others = ledger.failed + ledger.uncertain - 1
        k, d = len(self._in_flight), ledger.duplicate_mails
        ledger.expect(state == "uncertain", f"the poison event is {state}")
        ledger.expect(crashes == MAX_DOUBTS, f"{crashes} crashes counted")
        ledger.expect(not others, f"{others} others failed or uncertain")
        ledger.expect(d <= k, f"{d} mails twice with K = {k}")
        ledger.figure = (
            f"uncertain after {crashes} crashes in {self._deaths} deaths; all others arrived; K = {k}, D = {d}"
        )


class UnknownVersion(Fault):
    """A producer is ahead: it publishes version 2, and the consumers know version 1 until they are upgraded."""

    number = 20
    webhook = False  # this process publishes too, and WEBHOOK_URL isn't in its environment
    follow_up = False  # as above
    title = "an event version the consumer doesn't know"

    def strike(self, trial: Trial) -> None:
        trial.wait_for_share(trial.dice.uniform(0.2, 0.8))
        trial.strike_now()
        self._published = max(5, trial.load.total // 50)
        with psycopg.connect(trial.system.herald.databases["users"], autocommit=True) as connection:
            for number in range(self._published):
                email = f"newer{number}@example.com"
                trial.beside[email] = insert_user(connection, email, NewerUserRegistered, plan="paid")

    def afterwards(self, trial: Trial) -> None:
        listed = trial.system.run("users-api", "deliveries", "list", "--state", "failed", "--limit", "100000", "--json")
        self._parked = listed.count("UnknownEventVersion")
        for name in ("notifier", "auditor"):
            trial.system.replace(name, "version:2")
        for subscription in effects_of(UserRegistered):
            trial.system.run("users-api", "replay", "--subscription", subscription.name, "--since", "2000-01-01")
        trial.settle(self.patience)

    def judge(self, trial: Trial, ledger: Ledger) -> None:
        super().judge(trial, ledger)
        effects = self._published * len(effects_of(UserRegistered))
        ledger.expect(self._parked == effects, f"{self._parked} of {effects} parked")
        ledger.figure = f"{self._parked} parked and listed, replayed after the upgrade"
