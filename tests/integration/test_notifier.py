"""Welcome emails, by the plain function on a real ledger: each sent once, and honest where nobody can know."""

import math
import re
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from threading import Event as Flag
from typing import Any
from uuid import UUID

import psycopg
import pytest
from dramatiq.middleware import TimeLimitExceeded
from psycopg_pool import PoolTimeout
from structlog.testing import capture_logs
from tests.conftest import user_registered

from chaos.sink import Sink
from devstack.postgres import Postgres
from messaging import Delivery, HandedBack, PermanentError, RetryLater, Settled
from messaging.process.database import Pool, open_pool
from notifier.attempt import UNRECORDED
from notifier.email import Mail
from notifier.errors import ClaimLost, MailDeferred, MailHeld, MailRefused, MailUncertain, SendingRefused, ServerAway
from notifier.handlers import send_welcome_emails
from notifier.ledger import Claim, Ledger, Uncertain
from notifier.round import Done, Round
from notifier.smtp import Errand, Mailer, SmtpSettings
from notifier.smtp.session import Session

from .scripted_smtp import ScriptedSmtpServer
from .workers import until

Meddle = Callable[[], None]


class Postman(Mailer):
    """Takes mails, or raises what a mail server would have come to (tests/integration/test_smtp.py shows when).

    `trouble`: with whose mail, or everybody's (""). `meanwhile`: what happens while a mail is on its way. `waits`:
    with whose mail there is time for the errand.
    """

    def __init__(self) -> None:
        super().__init__(SmtpSettings.parse("smtp://localhost"))
        self.sent: list[str] = []
        self.tried = 0
        self.trouble: dict[str, BaseException] = {}
        self.meanwhile: dict[str, Meddle] = {}
        self.within = math.inf
        self.waits: set[str] = set()
        self.errand: Errand | None = None

    def send(self, mail: Mail, *, within: float = math.inf, errand: Errand | None = None, **_: object) -> None:
        self.within, self.errand = within, errand
        self.tried += 1
        self.meanwhile.get(mail.recipient, lambda: None)()
        if errand and mail.recipient in self.waits:
            errand.run()
        trouble = self.trouble.get(mail.recipient, self.trouble.get(""))
        if trouble:
            raise trouble
        self.sent.append(mail.recipient)


class Table:
    """The emails table, as anybody may look at it and meddle with it, by connections of their own."""

    def __init__(self, pool: Pool) -> None:
        self.url = str(pool.conninfo)

    def states(self) -> list[str]:
        return sorted(str(row[0]) for row in self.rows("SELECT state FROM emails"))

    def rows(self, query: str) -> list[tuple[object, ...]]:
        with psycopg.connect(self.url) as connection:
            cursor = connection.execute(query.encode())
            return cursor.fetchall() if cursor.description else []

    def steal(self, delivery: Delivery) -> None:
        """Let another attempt have it."""
        self.rows(f"UPDATE emails SET claim = gen_random_uuid() WHERE event_id = '{delivery.event.id}'")

    def let_claims_run_out(self) -> None:
        self.rows("UPDATE emails SET claimed_until = now() - interval '1 ms' WHERE state = 'sending'")


class Office:
    """One notifier: each `attempt` is as a thread makes it at a message."""

    def __init__(self, pool: Pool) -> None:
        self.pool = pool
        self.table = Table(pool)
        self.postman: Mailer = Postman()
        self.stopping = Flag()
        self.deliveries = [Delivery(user_registered(number), "welcome_email", 1, 0) for number in range(31)]

    def ledger(self, uncertain: Uncertain = "resend") -> Ledger:
        return Ledger(self.pool, uncertain=uncertain, lease=60, stopping=self.stopping)

    def begin(self, *numbers: int, ledger: Ledger | None = None, generation: int = 0) -> Iterator[Settled]:
        asked = [replace(self.deliveries[number], generation=generation) for number in numbers]
        return send_welcome_emails(
            asked, ledger=ledger or self.ledger(), mailer=self.postman, sender="Herald <hello@example.com>"
        )

    def attempt(
        self, *numbers: int, uncertain: Uncertain = "resend", ledger: Ledger | None = None, generation: int = 0
    ) -> list[BaseException | None]:
        """Return what became of each, in the order of the numbers; each has exactly one outcome."""
        settled = list(self.begin(*numbers, ledger=ledger or self.ledger(uncertain), generation=generation))
        found = {delivery.event.subject: error for delivery, error in settled}
        assert len(settled) == len(found) == len(numbers)
        return [found[f"users/{number}"] for number in numbers]

    def crash(self, *numbers: int) -> None:
        """Let an attempt claim mails and die; nobody has waited for its claims yet."""
        self.ledger().settle(Claim("welcome_email"), wanted={self.deliveries[each].event.id: 0 for each in numbers})


@pytest.fixture
def office(new_database: Callable[[str], str]) -> Iterator[Office]:
    with open_pool(new_database("notifier"), size=4, name="test") as pool:
        yield Office(pool)


@pytest.fixture
def postman(office: Office) -> Postman:
    assert isinstance(office.postman, Postman)
    return office.postman


@pytest.fixture
def table(office: Office) -> Table:
    return office.table


def address(number: int) -> str:
    return f"user{number}@example.com"


def kinds(errors: list[BaseException | None]) -> list[type]:
    return [type(error) for error in errors]


# One mail


def test_a_mail_is_sent_once_however_often_its_event_comes(office: Office, postman: Postman, table: Table) -> None:
    for generation in (0, 0, 1):
        assert office.attempt(1, generation=generation) == [None]

    assert postman.sent == [address(1)]
    assert table.states() == ["sent"]


@pytest.mark.parametrize("trouble", [MailDeferred("450 later"), MailRefused("550 never"), ServerAway("refused")])
def test_a_mail_certainly_not_accepted_can_be_sent_at_once(
    office: Office, postman: Postman, table: Table, trouble: Exception
) -> None:
    postman.trouble[""] = trouble
    assert office.attempt(1) == [trouble]
    assert table.states() == []

    postman.trouble.clear()
    assert office.attempt(1) == [None]


def test_a_refusal_is_permanent_and_a_deferral_is_not() -> None:
    assert issubclass(MailRefused, PermanentError)
    assert not issubclass(MailDeferred, PermanentError)
    assert not issubclass(ServerAway, PermanentError)


def test_while_one_attempt_sends_another_waits_for_it(office: Office, postman: Postman) -> None:
    office.crash(1)

    [error] = office.attempt(1)

    assert isinstance(error, RetryLater)
    assert 50 < error.after <= 61
    assert postman.sent == []


def test_after_a_crash_resend_sends_again(office: Office, postman: Postman, table: Table) -> None:
    office.crash(1)
    table.let_claims_run_out()

    assert office.attempt(1) == [None]
    assert postman.sent == [address(1)]


def test_after_a_crash_hold_asks_an_operator(office: Office, postman: Postman, table: Table) -> None:
    office.crash(1)
    table.let_claims_run_out()

    for _ in range(2):  # also when the same delivery comes again because its receipt was lost
        assert kinds(office.attempt(1, uncertain="hold")) == [MailHeld]
    assert (postman.sent, table.states()) == ([], ["uncertain"])

    assert office.attempt(1, uncertain="hold", generation=1) == [None]
    assert table.states() == ["sent"]


def test_an_operators_switch_to_resend_frees_held_mails(office: Office, table: Table) -> None:
    office.crash(1)
    table.let_claims_run_out()
    assert kinds(office.attempt(1, uncertain="hold")) == [MailHeld]

    assert office.attempt(1, uncertain="resend") == [None]


def test_no_answer_after_the_content_is_uncertain_under_hold(office: Office, postman: Postman, table: Table) -> None:
    postman.trouble[""] = MailUncertain("no answer")

    assert kinds(office.attempt(1, uncertain="hold")) == [MailUncertain]
    assert table.states() == ["uncertain"]


def test_no_answer_after_the_content_is_sent_again_under_resend_a_minute_later(
    office: Office, postman: Postman
) -> None:
    postman.trouble[""] = MailUncertain("no answer")
    [error] = office.attempt(1)
    assert isinstance(error, RetryLater)
    assert error.after == 60
    assert "NOTIFIER_UNCERTAIN=resend" in str(error)

    postman.trouble.clear()
    assert office.attempt(1) == [None]


def test_a_server_that_never_answers_in_time_is_not_sent_copies_for_ever(office: Office, postman: Postman) -> None:
    postman.trouble[""] = MailUncertain("no answer")
    assert [kinds(office.attempt(1)) for _ in range(3)] == [[RetryLater], [RetryLater], [MailUncertain]]

    postman.trouble.clear()
    assert kinds(office.attempt(1)) == [MailHeld]
    assert postman.sent == []

    assert office.attempt(1, generation=1) == [None]


def test_after_an_operator_has_asked_again_the_copies_are_counted_anew(office: Office, postman: Postman) -> None:
    postman.trouble[""] = MailUncertain("no answer")
    for generation in (0, 1):
        outcomes = [kinds(office.attempt(1, generation=generation)) for _ in range(3)]
        assert outcomes == [[RetryLater], [RetryLater], [MailUncertain]]


def test_an_operators_question_is_answered_once(office: Office, postman: Postman) -> None:
    postman.trouble[""] = MailUncertain("no answer")
    assert kinds(office.attempt(1, uncertain="hold", generation=1)) == [MailUncertain]
    postman.trouble.clear()

    assert kinds(office.attempt(1, uncertain="hold", generation=1)) == [MailHeld]
    assert postman.sent == []


def test_a_mail_that_is_sent_stays_sent_long_after_its_claim_has_run_out(
    office: Office, postman: Postman, table: Table
) -> None:
    office.attempt(1)
    table.rows("UPDATE emails SET claimed_until = now() - interval '1 day'")

    for uncertain, generation in (("resend", 0), ("resend", 1), ("hold", 2)):
        office.attempt(1, uncertain=uncertain, generation=generation)  # type: ignore[arg-type]  # literals

    assert len(postman.sent) == 1


def test_a_mail_is_sent_within_its_claim_with_a_second_to_spare(office: Office, postman: Postman) -> None:
    office.attempt(1)

    assert 45 < postman.within <= 59


# Attempts that slept past their claims


@pytest.mark.parametrize(
    ("trouble", "outcome"),
    [(None, ClaimLost), (MailDeferred("450 later"), MailDeferred), (MailUncertain("no answer"), MailUncertain)],
)
def test_an_attempt_that_slept_past_its_claim_disturbs_neither_who_sends_nor_what_is_sent(
    office: Office, postman: Postman, table: Table, trouble: Exception | None, outcome: type
) -> None:
    quick = Claim("welcome_email")
    event_id = office.deliveries[1].event.id

    def sleep_past_the_claim() -> None:
        table.let_claims_run_out()
        assert office.ledger().settle(quick, wanted={event_id: 0}) == {event_id}

    postman.meanwhile[address(1)] = sleep_past_the_claim
    postman.trouble = {"": trouble} if trouble else {}

    assert kinds(office.attempt(1)) == [outcome]
    assert table.states() == ["sending"]

    assert office.ledger().settle(quick, sent=[event_id]) == {event_id}
    office.ledger().release(quick, [event_id])
    assert office.ledger().doubt(quick, [event_id]) == set()
    assert table.states() == ["sent"]


def test_a_claim_that_another_has_taken_is_not_used(
    office: Office, postman: Postman, table: Table, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("notifier.round.KEEP_AFTER", 0.0)

    postman.meanwhile[address(1)] = lambda: table.steal(office.deliveries[3])

    assert kinds(office.attempt(1, 2, 3, 4)) == [type(None), type(None), ClaimLost, type(None)]
    assert postman.sent == [address(1), address(2), address(4)]


def test_a_claim_that_is_lost_in_the_middle_of_a_send_is_no_other_mails_matter(
    office: Office, postman: Postman, table: Table, monkeypatch: pytest.MonkeyPatch
) -> None:
    def lose_it_and_prolong_the_others() -> None:
        table.steal(office.deliveries[2])
        monkeypatch.setattr("notifier.round.KEEP_AFTER", 0.0)

    monkeypatch.setattr("notifier.attempt.UNRECORDED", 60.0)
    postman.meanwhile[address(2)] = lose_it_and_prolong_the_others
    postman.waits = {address(2)}

    assert kinds(office.attempt(1, 2, 3, 4)) == [type(None), ClaimLost, type(None), type(None)]
    assert postman.sent == [address(number) for number in (1, 2, 3, 4)]


def test_a_long_round_keeps_its_claims(
    office: Office, postman: Postman, table: Table, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("notifier.round.KEEP_AFTER", 0.0)
    left: list[object] = []

    def take_long() -> None:
        table.rows("UPDATE emails SET claimed_until = now() + interval '5 s' WHERE state = 'sending'")

    def look() -> None:
        left.extend(row[0] for row in table.rows(
            "SELECT extract(epoch FROM claimed_until - now())::int FROM emails WHERE state = 'sending'"
        ))  # fmt: skip

    postman.meanwhile = {address(1): take_long, address(2): look}

    assert office.attempt(*range(1, 11)) == [None] * 10
    assert len(left) == 9
    assert min(map(int, map(str, left))) > 50


# Announced mails: their envelopes are written before their turn


class Pipelining(ScriptedSmtpServer):
    """A server that takes the next envelope with a content."""

    pipelining = True


@pytest.fixture
def server(office: Office) -> Iterator[ScriptedSmtpServer]:
    """Mail goes there, over a connection that is made."""
    with Pipelining() as server, closing(Mailer(SmtpSettings.parse(f"smtp://127.0.0.1:{server.port}"))) as mailer:
        office.postman = mailer
        office.attempt(30)
        server.commands.clear()
        yield server


def recipients(server: ScriptedSmtpServer) -> list[str]:
    """Return to whom mails are, content by content."""
    return [re.findall(rb"\nTo: .*<(.*)>", content)[0].decode() for content in server.contents[1:]]


def test_many_mails_go_over_one_connection_each_announced_with_the_one_before(
    office: Office, server: ScriptedSmtpServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    writes: list[object] = []
    send = Session.send

    def counted(session: Session, data: bytes | str) -> None:
        writes.append(data)
        send(session, data)

    monkeypatch.setattr(Session, "send", counted)

    assert office.attempt(*range(25)) == [None] * 25

    assert recipients(server) == [address(number) for number in range(25)]
    assert (server.connections, len(writes)) == (1, 26)


def test_the_first_envelope_is_on_its_way_before_the_claim(
    office: Office, server: ScriptedSmtpServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    settle = Ledger.settle

    def claim_once_the_server_knows(ledger: Ledger, claim: Claim, **asked: Any) -> set[UUID]:
        if asked["wanted"]:
            until(lambda: server.verbs() == ["MAIL", "RCPT", "DATA"])
        return settle(ledger, claim, **asked)

    monkeypatch.setattr(Ledger, "settle", claim_once_the_server_knows)

    assert office.attempt(1) == [None]
    assert recipients(server) == [address(1)]


def test_what_was_dispatched_before_is_not_announced_before_its_claim(
    office: Office, server: ScriptedSmtpServer
) -> None:
    office.attempt(1)
    server.commands.clear()
    office.deliveries[1] = replace(office.deliveries[1], dispatch=2)

    assert office.attempt(1) == [None]

    assert server.commands == []
    assert recipients(server) == [address(1)]


def test_an_announced_mail_whose_claim_is_refused_is_not_sent(office: Office, server: ScriptedSmtpServer) -> None:
    office.attempt(1)

    assert office.attempt(1, 2) == [None, None]
    assert office.attempt(3) == [None]

    assert recipients(server) == [address(1), address(2), address(3)]
    assert server.connections == 2, "the one that expected mail 1's content is closed"


def test_an_announced_mail_whose_claim_is_lost_is_not_sent(
    office: Office, server: ScriptedSmtpServer, table: Table, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("notifier.round.KEEP_AFTER", 0.0)
    send = Mailer.send

    def steal_the_next(mailer: Mailer, mail: Mail, **how: Any) -> None:
        send(mailer, mail, **how)
        if mail.recipient == address(1):
            table.steal(office.deliveries[2])

    monkeypatch.setattr(Mailer, "send", steal_the_next)

    assert kinds(office.attempt(1, 2, 3)) == [type(None), ClaimLost, type(None)]
    assert recipients(server) == [address(1), address(3)]


def test_a_mail_that_cannot_be_written_is_not_announced(office: Office, server: ScriptedSmtpServer) -> None:
    event = office.deliveries[2].event
    spoilt = event.model_copy(update={"data": event.data.model_copy(update={"email": "no address"})})
    office.deliveries[2] = replace(office.deliveries[2], event=spoilt)

    assert kinds(office.attempt(2, 1)) == [MailRefused, type(None)]
    assert kinds(office.attempt(3, 2, 4)) == [type(None), MailRefused, type(None)]
    assert recipients(server) == [address(1), address(3), address(4)]
    assert server.connections == 1


def test_a_worker_that_stops_sends_nothing_to_whom_it_has_announced(
    office: Office, server: ScriptedSmtpServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    send = Mailer.send

    def stop_after(mailer: Mailer, mail: Mail, **how: Any) -> None:
        send(mailer, mail, **how)
        office.stopping.set()

    monkeypatch.setattr(Mailer, "send", stop_after)

    assert kinds(office.attempt(1, 2)) == [type(None), HandedBack]
    office.postman.close()
    until(lambda: server.verbs()[-1] == "DATA")

    assert recipients(server) == [address(1)]
    assert "QUIT" not in server.verbs()


# Many mails


@pytest.fixture
def statements(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, int]]:
    """What is told to the ledger: how many are sent, and how many are wanted next."""
    told: list[tuple[int, int]] = []
    settle = Ledger.settle

    def counted(ledger: Ledger, claim: Claim, **asked: Any) -> set[UUID]:
        told.append((len(asked["sent"]), len(asked["wanted"])))
        return settle(ledger, claim, **asked)

    monkeypatch.setattr(Ledger, "settle", counted)
    return told


def test_a_group_is_sent_and_recorded_ten_by_ten_in_one_statement_each(
    office: Office, postman: Postman, statements: list[tuple[int, int]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("notifier.attempt.UNRECORDED", 10.0)  # whatever else this machine does

    assert office.attempt(*range(25)) == [None] * 25

    assert postman.sent == [address(number) for number in range(25)]
    assert office.table.states() == ["sent"] * 25
    assert statements == [(0, 10), (10, 10), (10, 5), (5, 0)]


def test_a_mail_that_took_long_is_recorded_alone_and_the_others_still_together(
    office: Office, postman: Postman, statements: list[tuple[int, int]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("notifier.attempt.UNRECORDED", 0.5)
    postman.meanwhile[address(0)] = lambda: time.sleep(0.5)

    office.attempt(*range(12))

    assert statements == [(0, 10), (1, 0), (9, 2), (2, 0)]


def test_at_most_ten_mails_are_claimed_and_not_recorded(office: Office, postman: Postman, table: Table) -> None:
    claimed: list[int] = []
    for number in range(25):
        postman.meanwhile[address(number)] = lambda: claimed.append(table.states().count("sending"))

    office.attempt(*range(25))

    assert max(claimed) == 10


def test_with_a_slow_server_each_mail_is_recorded_before_the_next_is_begun(
    office: Office, postman: Postman, table: Table
) -> None:
    recorded: list[int] = []

    def slowly() -> None:
        recorded.append(table.states().count("sent"))
        time.sleep(UNRECORDED)

    postman.meanwhile = {address(number): slowly for number in range(12)}

    assert office.attempt(*range(12)) == [None] * 12
    assert recorded == list(range(12))


@pytest.fixture
def sink() -> Iterator[Sink]:
    server = Sink()
    server.start()
    yield server
    server.release.set()
    server.stop()


@pytest.fixture
def really(office: Office, sink: Sink) -> Iterator[Office]:
    """The same notifier, with a real mail server."""
    with closing(Mailer(SmtpSettings.parse(sink.url), timeout=10)) as office.postman:
        yield office


def test_while_a_server_lets_a_mail_wait_those_before_it_are_recorded(really: Office, sink: Sink) -> None:
    sink.delay = lambda recipient: 2.0 if recipient == address(3) else 0.0
    began = time.monotonic()

    with ThreadPoolExecutor(1) as thread:
        outcomes = thread.submit(really.attempt, 1, 2, 3, 4)
        until(lambda: really.table.states() == ["sending", "sending", "sent", "sent"])
        recorded = time.monotonic() - began
        assert outcomes.result() == [None] * 4

    assert recorded < 1.5
    assert sink.recipients == [address(number) for number in (1, 2, 3, 4)]


def test_what_was_not_sent_is_no_errand(office: Office, postman: Postman) -> None:
    due: list[float] = []

    def look() -> None:
        assert postman.errand is not None
        due.append(postman.errand.due_in())

    postman.trouble[address(1)] = MailRefused("550 never")
    postman.meanwhile = {address(2): look, address(3): look}
    office.attempt(1, 2, 3)

    assert due[0] == math.inf
    assert due[1] <= UNRECORDED


def test_a_ledger_that_is_away_while_a_mail_waits_is_not_that_mails_matter(really: Office, sink: Sink) -> None:
    sink.delay = lambda recipient: 0.3 if recipient == address(2) else 0.0
    ledger, lapses = really.ledger(), 0
    settle = ledger.settle

    def sometimes(claim: Claim, *, timeout: float | None = None, **asked: Any) -> set[UUID]:
        nonlocal lapses
        if timeout is not None:
            lapses += 1
            raise PoolTimeout("away")
        return settle(claim, **asked)

    ledger.settle = sometimes  # type: ignore[method-assign]

    assert really.attempt(1, 2, 3, ledger=ledger) == [None] * 3
    assert lapses == 1
    assert len(sink.accepted) == 3
    assert really.table.states() == ["sent"] * 3


@pytest.mark.parametrize(
    ("trouble", "left"),
    [
        (MailRefused("550 never"), []),
        (MailDeferred("450 later"), []),
        (MailUncertain("no answer"), ["uncertain"]),
        (ValueError("a bug"), ["sending"]),
    ],
)
def test_one_bad_mail_takes_no_neighbour_with_it(
    office: Office, postman: Postman, table: Table, trouble: Exception, left: list[str]
) -> None:
    postman.trouble[address(4)] = trouble

    outcomes = office.attempt(*range(15), uncertain="hold")

    assert outcomes.pop(4) is trouble
    assert outcomes == [None] * 14
    assert len(postman.sent) == 14
    assert table.states() == sorted(left + ["sent"] * 14)


def test_an_event_of_which_no_mail_can_be_made_takes_no_neighbour_with_it(office: Office, table: Table) -> None:
    event = office.deliveries[1].event
    broken = event.model_copy(update={"data": event.data.model_copy(update={"email": "nobody"})})
    office.deliveries[1] = replace(office.deliveries[1], event=broken)

    assert kinds(office.attempt(0, 1, 2)) == [type(None), MailRefused, type(None)]
    assert table.states() == ["sent", "sent"]


def test_what_was_sent_before_and_what_another_sends_need_no_mail(office: Office, postman: Postman) -> None:
    office.attempt(1, 2)
    office.crash(4)

    assert kinds(office.attempt(1, 2, 3, 4)) == [type(None), type(None), type(None), RetryLater]
    assert postman.sent == [address(1), address(2), address(3)]


def test_a_server_that_is_away_is_asked_once_for_all(office: Office, postman: Postman, table: Table) -> None:
    postman.trouble[address(3)] = away = ServerAway("no route to host")

    assert office.attempt(*range(25)) == [None] * 3 + [away] * 22
    assert (postman.tried, len(postman.sent)) == (4, 3)
    assert table.states() == ["sent"] * 3


def test_a_server_that_refuses_whatever_is_sent_is_asked_three_times_for_all(office: Office, table: Table) -> None:
    with (
        ScriptedSmtpServer(mail=["250 ok"] + ["550 5.4.5 daily quota exceeded"] * 99) as server,
        closing(Mailer(SmtpSettings.parse(f"smtp://127.0.0.1:{server.port}"))) as office.postman,
    ):
        outcomes = office.attempt(*range(25))

        assert kinds(outcomes) == [type(None)] + [SendingRefused] * 2 + [ServerAway] * 22
        assert server.verbs().count("MAIL") == 5, "once more where the kept connection might have been used up"
    assert all("not about this mail" in str(error) for error in outcomes[1:])
    assert table.states() == ["sent"], "the others can be claimed at once"


def test_a_worker_that_stops_hands_back_what_it_has_not_begun(office: Office, postman: Postman, table: Table) -> None:
    postman.meanwhile[address(2)] = office.stopping.set

    assert kinds(office.attempt(*range(25))) == [type(None)] * 3 + [HandedBack] * 22
    assert len(postman.sent) == 3
    assert table.states() == ["sent"] * 3, "others may have them at once"


def test_a_time_limit_ends_the_mail_that_it_struck_and_hands_back_the_rest(
    office: Office, postman: Postman, table: Table
) -> None:
    postman.trouble[address(2)] = TimeLimitExceeded("too slow")

    outcomes = office.attempt(*range(25))

    assert kinds(outcomes) == [type(None)] * 2 + [TimeLimitExceeded] + [HandedBack] * 22
    assert table.states() == ["sending", "sent", "sent"], "nobody knows of the one that it struck: its claim runs out"


def test_a_time_limit_in_the_ledger_forgets_nothing_that_was_sent(office: Office, postman: Postman) -> None:
    ledger = office.ledger()
    settle, limits = ledger.settle, iter([TimeLimitExceeded("too slow")])

    def interrupted(claim: Claim, **asked: Any) -> set[UUID]:
        if asked["sent"]:
            for limit in limits:
                raise limit
        return settle(claim, **asked)

    ledger.settle = interrupted  # type: ignore[method-assign]

    outcomes = office.attempt(*range(25), ledger=ledger)

    assert kinds(outcomes) == [type(None)] * 10 + [TimeLimitExceeded] * 15
    assert office.table.states() == ["sent"] * 10


def test_a_time_limit_just_after_a_mail_was_sent_does_not_call_it_unsent(
    office: Office, postman: Postman, table: Table, monkeypatch: pytest.MonkeyPatch
) -> None:
    end = Round.end

    def interrupted(self: Round, done: Done, began: float) -> None:
        if done.delivery.event.subject == "users/2":
            raise TimeLimitExceeded("too slow")
        end(self, done, began)

    monkeypatch.setattr(Round, "end", interrupted)

    assert kinds(office.attempt(1, 2, 3)) == [type(None), TimeLimitExceeded, TimeLimitExceeded]
    assert postman.sent == [address(1), address(2)]
    assert table.states() == ["sending", "sent"]


def test_a_group_that_is_dropped_in_the_middle_gives_its_claims_back(office: Office, table: Table) -> None:
    running = office.begin(*range(25))

    next(running)
    running.close()  # type: ignore[attr-defined]  # a generator

    assert set(table.states()) == {"sent"}


def test_a_ledger_that_was_empty_when_it_was_first_asked_is_not_read_whole_when_it_is_full(
    new_database: Callable[[str], str],
) -> None:
    with open_pool(new_database("notifier"), size=1, name="test") as pool:
        table = Table(pool)
        for _ in range(10):  # by now PostgreSQL has made its plan, for an almost empty table
            office = Office(pool)
            office.attempt(*range(31))

        table.rows("SELECT pg_stat_force_next_flush()")
        assert table.rows("SELECT seq_scan FROM pg_stat_user_tables WHERE relname = 'emails'") == [(0,)]
        [(read,)] = table.rows("SELECT idx_tup_read FROM pg_stat_user_indexes WHERE relname = 'emails'")
        assert int(str(read)) < 2 * 310


# PostgreSQL away


def test_a_lapse_of_postgresql_repeats_no_mail_that_is_sent(office: Office, postman: Postman, table: Table) -> None:
    def cut_connections() -> None:
        table.rows(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )

    postman.meanwhile = {address(number): cut_connections for number in (3, 9, 14)}

    assert office.attempt(*range(25)) == [None] * 25
    assert len(postman.sent) == 25
    assert table.states() == ["sent"] * 25


def test_an_answer_that_got_lost_repeats_no_mail(office: Office, postman: Postman) -> None:
    ledger = office.ledger()
    settle, lapses = ledger.settle, iter([psycopg.OperationalError("cut"), PoolTimeout("still away")])

    def answer_lost(claim: Claim, **asked: Any) -> set[UUID]:
        granted = settle(claim, **asked)
        if asked["sent"]:
            for lapse in lapses:
                raise lapse
        return granted

    ledger.settle = answer_lost  # type: ignore[method-assign]

    assert office.attempt(*range(25), ledger=ledger) == [None] * 25
    assert len(postman.sent) == 25


def test_a_claim_whose_answer_got_lost_is_given_back(office: Office, postman: Postman, table: Table) -> None:
    ledger = office.ledger()
    settle = ledger.settle

    def answer_lost(claim: Claim, **asked: Any) -> set[UUID]:
        settle(claim, **asked)
        raise psycopg.OperationalError("cut")

    ledger.settle = answer_lost  # type: ignore[method-assign]

    assert kinds(office.attempt(*range(25), ledger=ledger)) == [psycopg.OperationalError] * 25
    assert (postman.tried, table.states()) == (0, [])


@pytest.mark.parametrize("reason", ["stopping", "patience"])
def test_when_postgresql_stays_away_recording_is_given_up_and_that_is_said(
    office: Office, postman: Postman, monkeypatch: pytest.MonkeyPatch, reason: str
) -> None:
    ledger = office.ledger()
    settle = ledger.settle

    def away_once_sent(claim: Claim, **asked: Any) -> set[UUID]:
        if not asked["sent"]:
            return settle(claim, **asked)
        if reason == "stopping":
            office.stopping.set()
        raise psycopg.OperationalError("away")

    monkeypatch.setattr(ledger, "settle", away_once_sent)
    monkeypatch.setattr("notifier.attempt.PATIENCE", 300.0 if reason == "stopping" else 0.0)

    with capture_logs() as lines:
        outcomes = office.attempt(1, 2, ledger=ledger)

    assert outcomes == [None, None], "sent it is"
    said = [(line["event"], line["event_id"]) for line in lines]
    assert said == [("mail.sent_but_not_recorded", str(office.deliveries[number].event.id)) for number in (1, 2)]


def test_without_a_ledger_nothing_is_sent(postgres: Postgres) -> None:
    with open_pool(postgres.url("nowhere"), size=1, name="test") as away:
        away.timeout = 0.1
        office = Office(away)

        assert kinds(office.attempt(*range(25))) == [PoolTimeout] * 25
        assert office.postman.tried == 0  # type: ignore[attr-defined]  # a Postman
