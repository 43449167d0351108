"""The ledger: what was answered, and what happened, side by side."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

from chaos.hook import Hook
from chaos.load import Load
from chaos.system import UNFINISHED, System

WATCH = """
-- Notes every move of a delivery that must never be: out of a final state without an operator, or backwards.
CREATE TABLE chaos_backwards (event_id uuid, subscription text, was text, became text);
CREATE FUNCTION chaos_note() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO chaos_backwards VALUES (OLD.event_id, OLD.subscription, OLD.state, NEW.state);
    RETURN NULL;
END $$;
CREATE TRIGGER chaos_watch AFTER UPDATE ON deliveries FOR EACH ROW
    WHEN (OLD.state IN ('succeeded', 'failed', 'uncertain') AND NEW.state <> OLD.state
            AND NEW.generation = OLD.generation
        OR NEW.dispatch < OLD.dispatch OR NEW.generation < OLD.generation)
    EXECUTE FUNCTION chaos_note()
"""

DELIVERIES = """
-- What the users database believes of each effect of each user.
SELECT email, subscription, deliveries.state, attempts, crashes, last_error FROM users
    JOIN events ON events.subject = 'users/' || users.id JOIN deliveries ON event_id = events.id
WHERE subscription IN ('welcome_email', 'follow_up_email', 'audit_log', 'webhook')
"""


@dataclass
class Ledger:
    """What came out. `wrong`: every broken promise, in words; an empty list is a green row.

    `chain`: what `auditor verify` says.
    """

    answered: int = 0
    users: int = 0
    mails: int = 0
    audits: int = 0
    lost_mails: int = 0
    lost_audits: int = 0
    lost_follow_ups: int = 0
    duplicate_mails: int = 0
    duplicate_audits: int = 0
    lost_webhooks: int = 0
    duplicate_webhooks: int = 0
    stuck: int = 0
    failed: int = 0
    uncertain: int = 0
    backwards: int = 0
    crashes: int = 0
    recovered: float | None = None
    figure: str = ""
    chain: str = ""
    wrong: list[str] = field(default_factory=list)
    states: dict[tuple[str, str], tuple[str, int, int, str | None]] = field(default_factory=dict)
    """For (email, subscription): state, attempts, crashes, last error."""

    @property
    def green(self) -> bool:
        """Whether every promise was kept."""
        return not self.wrong

    def expect(self, kept: bool, otherwise: str) -> None:
        """Note a broken promise."""
        if not kept:
            self.wrong.append(otherwise)

    def of(self, subscription: str, state: str) -> list[str]:
        """List the addresses whose effect is in a state."""
        return [email for (email, name), row in self.states.items() if name == subscription and row[0] == state]


def reckon(system: System, load: Load, beside: Mapping[str, int], *, kept: bool = True) -> Ledger:
    """Compare everything that was answered, or committed without an answer, with what came of it.

    `beside`: whom others registered, and as which user. `kept`: whether every delivery is still there; housekeeping may
    have removed those that succeeded.
    """
    answered = {email: each.user_id for email, each in load.answered.items()} | dict(beside)
    users = dict(system.published("SELECT email, id FROM users"))
    states = {(row[0], row[1]): row[2:] for row in system.published(DELIVERIES)}
    mails, audits = Counter(system.sink.recipients), Counter(system.audited())
    ledger = Ledger(answered=len(answered), users=len(users), mails=mails.total(), audits=audits.total(), states=states)
    _compare_effects(ledger, users, mails, audits)
    if system.follows_up:
        _compare_follow_ups(ledger, users, Counter(system.sink.followed_up))
    if system.hook:
        _compare_webhooks(ledger, users, system.hook)
    ledger.crashes = sum(row[2] for row in states.values())
    ledger.backwards = len(system.published("SELECT FROM chaos_backwards"))
    lies = [email for email, user_id in answered.items() if users.get(email) != user_id]
    phantoms = (mails.keys() | audits.keys()) - users.keys()
    ledger.expect(not lies, f"{len(lies)} answered 201 without a user: {_some(lies)}")
    ledger.expect(not phantoms, f"{len(phantoms)} effects without a user: {_some(phantoms)}")
    effects = 2 + bool(system.hook) + system.follows_up
    complete = not kept or len(states) == effects * len(users)
    ledger.expect(complete, f"{len(states)} deliveries of {len(users)} users")
    ledger.expect(not ledger.backwards, f"{ledger.backwards} deliveries moved backwards")
    ledger.expect(not load.wrong, f"wrong answers: {dict(load.wrong)}")
    _verify(ledger, system)
    return ledger


def _compare_effects(ledger: Ledger, users: dict[str, int], mails: Counter[str], audits: Counter[str]) -> None:
    excused = {email for state in ("failed", "uncertain") for email in ledger.of("welcome_email", state)}
    unmailed = [email for email in users if email not in mails and email not in excused]
    rejected = set(ledger.of("audit_log", "failed"))
    unaudited = [email for email in users if email not in audits and email not in rejected]
    final = Counter(row[0] for row in ledger.states.values())
    ledger.lost_mails, ledger.lost_audits = len(unmailed), len(unaudited)
    ledger.duplicate_mails = mails.total() - len(mails)
    ledger.duplicate_audits = audits.total() - len(audits)
    ledger.stuck = sum(final[state] for state in UNFINISHED)
    ledger.failed, ledger.uncertain = final["failed"], final["uncertain"]
    ledger.expect(not unmailed, f"{len(unmailed)} mails lost: {_some(unmailed)}")
    ledger.expect(not unaudited, f"{len(unaudited)} audit rows lost: {_some(unaudited)}")
    ledger.expect(not ledger.duplicate_audits, f"{ledger.duplicate_audits} audit rows twice")
    ledger.expect(not ledger.stuck, f"{ledger.stuck} deliveries stuck")


def _compare_follow_ups(ledger: Ledger, users: dict[str, int], mails: Counter[str]) -> None:
    """Compare users with the follow-up mails. One that came twice is a mail that came twice, like any other."""
    excused = {email for state in ("failed", "uncertain") for email in ledger.of("follow_up_email", state)}
    lost, phantoms = users.keys() - mails.keys() - excused, mails.keys() - users.keys()
    ledger.lost_follow_ups = len(lost)
    ledger.duplicate_mails += mails.total() - len(mails)
    ledger.expect(not lost, f"{len(lost)} follow-up mails lost: {_some(lost)}")
    ledger.expect(not phantoms, f"{len(phantoms)} follow-up mails without a user: {_some(phantoms)}")


def _compare_webhooks(ledger: Ledger, users: dict[str, int], hook: Hook) -> None:
    """Compare users with the webhooks that were accepted. A webhook may come twice: its id is the same."""
    excused = {email for state in ("failed", "uncertain") for email in ledger.of("webhook", state)}
    reported = set(hook.users.values())
    lost, phantoms = users.keys() - reported - excused, reported - users.keys()
    ledger.lost_webhooks = len(lost)
    ledger.duplicate_webhooks = hook.accepted.total() - len(hook.accepted)
    ledger.expect(not lost, f"{len(lost)} webhooks lost: {_some(lost)}")
    ledger.expect(not phantoms, f"{len(phantoms)} webhooks without a user: {_some(phantoms)}")
    ledger.expect(len(hook.users) == len(reported), f"{len(hook.users)} webhook-ids for {len(reported)} users")
    ledger.expect(not hook.wrong, f"{len(hook.wrong)} webhooks weren't signed: {hook.wrong[:1]}")


def _verify(ledger: Ledger, system: System) -> None:
    """Verify the audit log's chain: every row of it is sealed, because the auditors have stopped in order."""
    verified = system.attempt("auditor", "verify")
    ledger.chain = verified.stdout.strip()
    ledger.expect(not verified.returncode, f"auditor verify: {verified.stdout}{verified.stderr}")
    ledger.expect(" 0 waiting," in ledger.chain, f"rows of the audit log aren't sealed: {ledger.chain}")


def _some(emails: object) -> str:
    listed = sorted(emails)  # type: ignore[call-overload]  # any iterable of addresses
    return ", ".join(listed[:3]) + (" …" if len(listed) > 3 else "")
