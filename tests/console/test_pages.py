"""Every page of the console, as it is without any data."""

import pytest
from tests.console.conftest import View
from tests.console.viewing import DESKTOP, PHONE
from tests.integration.live_api import LiveApi

PAGES = ("", "/failures", "/deliveries", "/uncertain", "/schedules", "/operations", "/register")


@pytest.mark.parametrize("size", [DESKTOP, PHONE], ids=["desktop", "phone"])
@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_axe_finds_nothing_and_nothing_is_cut_off(api: LiveApi, view: View, size: tuple[int, int], dark: bool) -> None:
    viewer = view(str(api.http.base_url), size, dark=dark)

    for page in PAGES:
        viewer.open(f"/console{page}")

        assert viewer.violations() == [], page
        assert viewer.overflow() == 0, page
