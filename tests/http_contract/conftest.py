"""A running API for the examples, as tests/integration has it."""

from collections.abc import Iterator

import pytest
from tests.integration.live_api import LiveApi, live_api

from devstack.postgres import Postgres


@pytest.fixture(scope="module")
def running_api(postgres: Postgres, request: pytest.FixtureRequest) -> Iterator[LiveApi]:
    """users-api on a database of the module's own."""
    with live_api(postgres, request.module.__name__.rpartition(".")[2]) as running:
        yield running


@pytest.fixture
def api(running_api: LiveApi) -> LiveApi:
    """users-api with no users yet."""
    running_api.forget_everything()
    return running_api
