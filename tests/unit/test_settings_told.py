"""Each setting is where people look for it: README's table, .env.example, and the service in docker-compose.yml."""

from pathlib import Path

import pytest
import yaml  # type: ignore[import-untyped]  # it has no types of its own

from auditor.reports.settings import ReportSettings
from auditor.roles import WriterSettings
from auditor.settings import AuditorSettings
from messaging.process.settings import Environment
from messaging.relay import RelaySettings
from notifier.settings import NotifierSettings
from notifier.webhooks.settings import WorkerSettings
from users_api.settings import ApiSettings

HERE = Path(__file__).parents[2]
README, EXAMPLE = ((HERE / name).read_text() for name in ("README.md", ".env.example"))
COMPOSE = yaml.safe_load((HERE / "docker-compose.yml").read_text())["services"]

READ: dict[str, type[Environment]] = {
    "users-api": ApiSettings,
    "relay": RelaySettings,
    "notifier": NotifierSettings,
    "webhook": WorkerSettings,
    "auditor": AuditorSettings,
    "reports": ReportSettings,
    "auditor-relay": RelaySettings,
    "auditor-migrate": WriterSettings,
}
"""What each service of docker-compose.yml reads."""

OF_THE_IMAGE = {"HOST", "PORT"}
SECRETS = ("_KEY", "_SECRET", "_TOKEN", "MAIL_URL")


@pytest.mark.parametrize("service", READ)
def test_each_setting_is_told_and_can_be_set_in_compose(service: str) -> None:
    names = {name.upper() for name in READ[service].model_fields}

    assert not [name for name in names if f"`{name}`" not in README], "README's table"
    assert not [name for name in names if f"#{name}=" not in EXAMPLE], ".env.example"
    assert names - OF_THE_IMAGE <= set(COMPOSE[service]["environment"]), "docker-compose.yml"


def test_no_service_is_given_a_secret_that_it_does_not_read() -> None:
    for service, settings in READ.items():
        read = {name.upper() for name in settings.model_fields}
        given = {name for name in COMPOSE[service]["environment"] if name.endswith(SECRETS)}
        assert given - {"AUDIT_PUBLIC_KEY"} <= read, service
