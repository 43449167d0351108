"""Every page of the console, as it is without any data."""

import pytest
from tests.console.conftest import View
from tests.console.viewing import LOOKS
from tests.integration.live_api import LiveApi

PAGES = ("", "/failures", "/deliveries", "/uncertain", "/schedules", "/operations", "/register")


@pytest.mark.parametrize("look", LOOKS)
def test_axe_finds_nothing_and_nothing_is_cut_off(api: LiveApi, view: View, look: str) -> None:
    size, dark = LOOKS[look]
    viewer = view(str(api.http.base_url), size, dark=dark)

    for page in PAGES:
        viewer.open(f"/console{page}")

        viewer.is_readable(page)
