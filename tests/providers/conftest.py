"""Senders over a provider's API, and stand-ins for the providers."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing

import pytest

from chaos.providers import PROVIDERS, StandIn
from notifier.providers.sender import ApiSender
from notifier.senders import open_sender

OpenSender = Callable[..., ApiSender]


@pytest.fixture(params=sorted(PROVIDERS))
def stand_in(request: pytest.FixtureRequest) -> Iterator[StandIn]:
    """Each provider in turn."""
    with StandIn(PROVIDERS[request.param]()) as stand_in:
        yield stand_in


@pytest.fixture
def opened() -> Iterator[OpenSender]:
    """Open senders that are closed after the test: `opened(url)`."""
    with ExitStack() as stack:

        def make(url: str, *, timeout: float = 2.0) -> ApiSender:
            sender = open_sender(url, timeout=timeout)
            assert isinstance(sender, ApiSender)
            return stack.enter_context(closing(sender))

        yield make
