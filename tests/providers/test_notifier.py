"""The real notifier process, sending over each provider."""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from email.utils import getaddresses
from functools import partial
from itertools import chain, repeat
from pathlib import Path

import pytest

from chaos.load import Load
from chaos.providers import PROVIDERS, Mood, Postmark, StandIn
from chaos.providers.exchange import Reply
from chaos.providers.standin import MOODS, UNANSWERED
from chaos.servers import Servers
from chaos.system import System
from devstack.postgres import Postgres

from .fates import contradictions, states

SETTLED = {"succeeded", "uncertain", "failed"}


@contextmanager
def mailing_over(stand_in: StandIn, servers: Servers, **environment: str) -> Iterator[System]:
    """A system that mails over a stand-in."""
    settings = {"MAIL_URL": stand_in.url, "MAIL_TIMEOUT": "1", **environment}
    with servers.system("provider", **settings) as system:
        system.start()
        yield system


@pytest.fixture(scope="module", params=sorted(PROVIDERS))
def provided(
    request: pytest.FixtureRequest, postgres: Postgres, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[StandIn, System]]:
    """Each provider in turn, and a system that mails over it."""
    servers = Servers(tmp_path_factory.mktemp("logs"), postgres)
    with (
        StandIn(PROVIDERS[request.param]()) as stand_in,
        mailing_over(stand_in, servers, NOTIFIER_UNCERTAIN="hold") as system,
    ):
        yield stand_in, system


def settled(system: System, number: int) -> None:
    system.until(lambda: states(system).total() == number and set(states(system)) <= SETTLED)


def test_every_mail_arrives_once_or_its_state_says_what_the_provider_did(provided: tuple[StandIn, System]) -> None:
    stand_in, system = provided
    rounds: Iterator[Mood] = chain(MOODS * 2, repeat("accept"))
    stand_in.mood = lambda _: next(rounds)
    load = Load(system.herald.port, 30, seed=1)
    load.start()
    load.join()
    settled(system, 30)

    assert contradictions(system, stand_in, doubts=1) == []
    met = Counter(mood for moods in stand_in.fate.values() for mood in moods)
    assert met.keys() == set(MOODS)
    assert states(system)["uncertain"] == sum(met[mood] for mood in UNANSWERED)
    assert states(system)["failed"] == met["reject"]
    assert max(stand_in.accepted().values()) == 1
    [(done, referenced)] = system.query(
        "notifier", "SELECT count(*), count(DISTINCT reference) FROM effects WHERE state = 'done'"
    )
    assert (done, referenced) == (met["accept"] + met["garble"], met["accept"])


def test_an_address_that_was_refused_is_not_tried_again(provided: tuple[StandIn, System]) -> None:
    stand_in, system = provided
    stand_in.mood = lambda _: "reject"
    user = system.register("nobody")
    mail = partial(system.deliveries, user["id"])
    system.until(lambda: mail()["welcome_email"]["state"] == "failed")
    stand_in.mood, asked = lambda _: "accept", len(stand_in.fate)

    event_id = mail()["welcome_email"]["event_id"]
    assert system.http.post(f"/deliveries/{event_id}/welcome_email/retry").status_code == 202

    if type(stand_in.provider).__name__ == "Ses":  # it refuses mails, and tells of addresses later
        system.until(lambda: mail()["welcome_email"]["state"] == "succeeded")
        return
    system.until(lambda: str(mail()["welcome_email"]["last_error"]).startswith("MailSuppressed"))
    assert mail()["welcome_email"]["state"] == "failed"
    assert (len(stand_in.fate), list(stand_in.fate.values())[-1]) == (asked, ["reject"])
    assert system.run("notifier", "suppressions", "list", "--json").count("nobody@") == 1


def test_a_name_and_an_address_from_abroad(provided: tuple[StandIn, System]) -> None:
    stand_in, system = provided
    ascii_only = type(stand_in.provider).__name__ == "Ses"
    stand_in.taken.clear()
    answer = system.http.post("/users", json={"email": "zoë@bücher.example", "full_name": "Zoë “Dot” Ünal"})
    assert answer.status_code == 201
    mail = partial(system.deliveries, answer.json()["id"])
    system.until(lambda: mail()["welcome_email"]["state"] in SETTLED)

    assert stand_in.wrong == []
    taken = [getaddresses([mail.recipient])[0] for mail in stand_in.taken]
    assert taken == ([] if ascii_only else [("Zoë “Dot” Ünal", "zoë@xn--bcher-kva.example")])
    refused = "MailRefused: Amazon SES has no SMTPUTF8, which the local part of this address needs"
    assert mail()["welcome_email"]["last_error"] == (refused if ascii_only else None)
    assert not any(each in system.log("notifier").casefold() for each in ("zoë", "bücher", "xn--", "ünal"))


def test_a_wrong_key_fails_no_mail(postgres: Postgres, tmp_path: Path) -> None:
    with StandIn(Postmark()) as stand_in, mailing_over(stand_in, Servers(tmp_path, postgres)) as system:
        stand_in.reply = Reply.json(401, {"ErrorCode": 10, "Message": "No valid token for maya@example.com"})
        user = system.register("maya")
        system.until(lambda: system.deliveries(user["id"])["welcome_email"]["last_error"] is not None)
        assert system.deliveries(user["id"])["welcome_email"]["last_error"] == (
            "SendingRefused: 401 10 No valid token for […]"
            " (not about this mail: see MAIL_URL, MAIL_FROM and the account at the provider)"
        )
        stand_in.reply = None
        settled(system, 1)
        assert states(system) == {"succeeded": 1}
