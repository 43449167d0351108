"""What runs for months loads only what it needs: each of these is megabytes in every process."""

import subprocess
import sys

import pytest

OPERATORS = {"alembic", "sqlalchemy", "typer"}
QUEUES = {"dramatiq", "redis"}
WEB = {"fastapi", "starlette", "uvicorn"}

API = ["users_api.cli", "users_api.server", "users_api.app", "users_api.console.mounting"]
RELAY = ["users_api.cli", "messaging.relay", "users_api.retention", "users_api.settings"]
CONSUMER = ["messaging.consuming.broker", "messaging.consuming.subscriber"]
NOTIFIER = [*CONSUMER, "notifier.handlers", "notifier.settings", "notifier.senders.smtp"]
WEBHOOK = [*CONSUMER, "notifier.webhooks.handlers", "notifier.webhooks.settings", "notifier.webhooks.endpoint"]
HERALD = ["users_api.herald.cli"]
DATABASES = {"psycopg", "pydantic", "structlog", "contracts"}
COMMANDS = ["auditor.cli", "notifier.cli", "users_api.commands"]
AUDITOR = [*CONSUMER, "auditor.handlers", "auditor.settings", "auditor.chain.sealer"]


@pytest.mark.parametrize(
    ("modules", "needless"),
    [
        (API, OPERATORS | QUEUES | {"jinja2", "contracts.asyncapi", "contracts.catalogue"}),
        (RELAY, OPERATORS | WEB),
        (NOTIFIER, OPERATORS | WEB),
        (WEBHOOK, OPERATORS | WEB | {"jinja2", "smtplib", "notifier.mail", "notifier.senders"}),
        (HERALD, {"alembic", "sqlalchemy"} | QUEUES | WEB | DATABASES | {"email_validator", "jinja2", "rich"}),
        (COMMANDS, {"alembic", "sqlalchemy"} | WEB),
        (AUDITOR, OPERATORS | WEB | {"cryptography.hazmat"}),
    ],
)
def test_a_process_loads_nothing_that_it_does_not_need(modules: list[str], needless: set[str]) -> None:
    code = f"import sys, {', '.join(modules)}; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()

    assert needless & set(loaded) == set()


def test_whoever_asks_for_what_messaging_has_not_is_told_so() -> None:
    import messaging

    with pytest.raises(AttributeError, match="nothing"):
        _ = messaging.nothing
