"""Let a worker's own code handle an event, and return the effect that it has on the world outside the process.

The worker modules are those of production, with all that they read of an event. They are imported without PostgreSQL,
Redis and threads. Doubles stand in for a mail server, a webhook's endpoint and a connection to PostgreSQL.
"""

import importlib
import os
import sys
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, ExitStack, nullcontext
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch

from contracts import Event
from messaging.consuming.subscriber import bound
from messaging.testing import Outbox
from messaging.wire.message import Attempt
from notifier.mail import Mail

OUTSIDE = (
    "auditor.chain.sealer.Sealer.start",
    "dramatiq.set_broker",
    "messaging.process.database.Pool.__init__",
    "messaging.process.database.require_suitable",
    "messaging.process.logs.configure",
    "notifier.senders.smtp.tls_context",
    "notifier.suppressions.Suppressing.load",
    "os.nice",
)
"""What a worker module does to its process, or to servers, when it is imported. (`Pool.__init__` starts threads.
`tls_context` reads all certificates of the system, which takes longer than the rest.)"""

SETTINGS = {
    "DATABASE_URL": "postgresql://unused.invalid/herald",
    "REDIS_URL": "redis://unused.invalid",
    "MAIL_URL": "smtp://unused.invalid",
    "REPORT_TO": "boss@example.com",
    "WEBHOOK_URL": "https://unused.invalid/hook",
    "WEBHOOK_SECRET": "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
}

SENT = datetime(2026, 3, 15, tzinfo=UTC)
"""The date of mails that are dated when they are sent."""


def effect(subscription: str, event: Event[Any], store: Path) -> object:
    """Handle an event as the subscription's worker does, and return the effect. `store`: REPORT_STORE."""
    with bound(Attempt(event, subscription, dispatch=1, generation=0)):
        return _EFFECTS[subscription](subscription, event, store)


def _worker(name: str, store: Path) -> Any:
    """Import a worker module for one use, in which the doubles then take their places."""
    with ExitStack() as stack:
        stack.enter_context(patch.dict(os.environ, SETTINGS | {"REPORT_STORE": str(store)}))
        for outside in OUTSIDE:
            stack.enter_context(patch(outside, return_value=None))
        stack.callback(sys.modules.pop, name, None)
        return importlib.import_module(name)


def _mail(subscription: str, event: Event[Any], store: Path) -> Mail:
    mails: list[Mail] = []
    worker = _worker("notifier.worker", store)
    worker.sender = SimpleNamespace(send=mails.append)
    getattr(worker, subscription)(event, f"{subscription}.{event.id}")
    [mail] = mails
    return mail


def _mail_of_today(subscription: str, event: Event[Any], store: Path) -> Mail:
    return replace(_mail(subscription, event, store), date=SENT)


def _webhook(_: str, event: Event[Any], store: Path) -> object:
    calls: list[object] = []
    worker = _worker("notifier.webhooks.worker", store)
    worker.switch = SimpleNamespace(require_on=lambda: None)
    worker.endpoint = SimpleNamespace(deliver=lambda *call, **facts: calls.append((call, facts)))
    worker.webhook(event, "")
    return calls


class _Connection(Outbox):
    """A connection on which `INSERT INTO reports` has inserted its row, and other statements have no result."""

    def execute(self, statement: str, parameters: Any = None) -> Any:
        result = super().execute(statement, parameters)
        return SimpleNamespace(fetchone=lambda: ("inserted",)) if "INSERT INTO reports" in statement else result

    def transaction(self) -> AbstractContextManager[None]:
        return nullcontext()


def _audit_log(_: str, event: Event[Any], store: Path) -> object:
    worker, connection = _worker("auditor.worker", store), _Connection()
    worker.pool = SimpleNamespace(connection=lambda: nullcontext(connection))
    worker.audit_log([event])
    return connection.statements


def _daily_report(_: str, event: Event[Any], store: Path) -> object:
    worker, connection = _worker("auditor.reports.worker", store), _Connection()
    worker.pool = SimpleNamespace(connection=lambda: nullcontext(connection))
    worker.daily_report(event)
    rows = [_without(row, "seconds") for sql, row in connection.statements if "INSERT INTO reports" in sql]
    return rows, [_without(published.envelope, "id", "time") for published in connection.published]


def _effect_ledger(_: str, event: Event[Any], store: Path) -> object:
    worker, connection = _worker("notifier.worker", store), _Connection()
    worker.ledger._pool = SimpleNamespace(connection=lambda: nullcontext(connection))
    worker.effect_ledger([event])
    return connection.statements


def _without(fields: Mapping[str, Any], *names: str) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if name not in names}


_EFFECTS: Mapping[str, Callable[[str, Event[Any], Path], object]] = {
    "welcome_email": _mail,
    "follow_up_email": _mail_of_today,
    "webhook": _webhook,
    "audit_log": _audit_log,
    "daily_report": _daily_report,
    "report_email": _mail_of_today,
    "effect_ledger": _effect_ledger,
}
