"""What the tests of the effect ledger share: a provider that does as it is told, and a consumer on a real ledger."""

from collections.abc import Callable
from threading import Event as Flag
from typing import Any
from uuid import UUID

import psycopg
from tests.conftest import user_registered

from contracts import WELCOME_EMAIL, Event, UserRegistered
from messaging.effects import Ledger, Uncertain
from messaging.effects.claims import Claim
from messaging.effects.once import Once
from messaging.wire.message import Attempt


class Provider:
    """A handler that takes effects, or raises what a provider would have come to.

    `trouble`: for which address, or every one (""). `meanwhile`: what happens during the call.
    """

    def __init__(self) -> None:
        self.done: list[str] = []
        self.keys: list[str] = []
        self.tried = 0
        self.trouble: dict[str, BaseException] = {}
        self.meanwhile: dict[str, Callable[[], object]] = {}

    def __call__(self, event: Event[UserRegistered], key: str) -> str:
        self.tried += 1
        self.keys.append(key)
        email = event.data.email
        self.meanwhile.get(email, lambda: None)()
        if trouble := self.trouble.get(email, self.trouble.get("")):
            raise trouble
        self.done.append(email)
        return f"reference of {email}"


class Consumer:
    """One worker process: each `attempt` is what one of its threads does with a message."""

    def __init__(self, database_url: str, *, limit: float = 60.0) -> None:
        self.url = database_url
        self.provider = Provider()
        self.ledger = Ledger(database_url, limit=limit, uncertain="resend")
        self.stopping = Flag()
        self.attempts = self.fresh_attempts()

    @staticmethod
    def fresh_attempts() -> list[Attempt[UserRegistered]]:
        return [Attempt(user_registered(number), "welcome_email", 1, 0) for number in range(31)]

    def results(self, *numbers: int, generation: int = 0) -> Any:
        once = Once(self.stopping, WELCOME_EMAIL, self.provider, self.ledger)
        return once.results([self.again(number, generation) for number in numbers])

    def attempt(
        self, *numbers: int, uncertain: Uncertain = "resend", generation: int = 0
    ) -> list[BaseException | None]:
        """Return the error of each, in the order of the numbers; each has exactly one result."""
        self.ledger.uncertain = uncertain
        results = list(self.results(*numbers, generation=generation))
        found = {attempt.event.subject: error_of(end) for attempt, end in results}
        assert len(results) == len(found) == len(numbers)
        return [found[f"users/{number}"] for number in numbers]

    def again(self, number: int, generation: int) -> Attempt[UserRegistered]:
        event = self.attempts[number].event
        return Attempt(event, "welcome_email", 1, generation)

    def crash(self, *numbers: int) -> None:
        """Let a worker claim effects and die."""
        assert len(self.ledger.claim([self.claim_of(number) for number in numbers])) == len(numbers)

    def claim_of(self, number: int) -> Claim:
        return Claim(self.event_id(number), "welcome_email", 0)

    def event_id(self, number: int) -> UUID:
        return self.attempts[number].event.id

    def states(self) -> list[str]:
        return sorted(str(row[0]) for row in self.rows("SELECT state FROM effects"))

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        """Execute a query as anybody may, on a connection of its own."""
        with psycopg.connect(self.url) as connection:
            cursor = connection.execute(query.encode())
            return cursor.fetchall() if cursor.description else []

    def let_claims_run_out(self) -> None:
        self.rows("UPDATE effects SET claimed_until = now() - interval '1 ms' WHERE state = 'claimed'")


def error_of(end: BaseException | str | None) -> BaseException | None:
    """Return the error of a result; None, if it is a reference or nothing."""
    return end if isinstance(end, BaseException) else None


def address(number: int) -> str:
    return f"user{number}@example.com"


def kinds(errors: list[BaseException | None]) -> list[type]:
    return [type(error) for error in errors]
