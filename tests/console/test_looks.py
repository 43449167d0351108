"""The pages about deliveries, with data: axe finds nothing, nothing is wider than the screen, pictures are made."""

import pytest
from tests.console.conftest import View
from tests.console.scene import afternoon
from tests.console.viewing import DESKTOP, PHONE, Viewer
from tests.integration.live_api import LiveApi

SHOWN = {"failures", "search", "bulk", "user", "event", "uncertain", "operations", "operation"}
"""Pages whose pictures are in docs/console."""


def walk(api: LiveApi, viewer: Viewer, suffix: str) -> None:
    people = afternoon(api)
    filter_ = {"email": "sven@example.com", "state": ["retrying"]}
    request = {"action": "cancel", "filter": filter_, "dry_run": False, "by": "ada"}
    assert api.http.post("/deliveries/bulk", json=request).status_code == 202
    pages = {
        "failures": "/failures",
        "deliveries": "/deliveries",
        "search": "/deliveries?state=failed&state=uncertain&since=1h&error=MAIL",
        "bulk": "/bulk?action=retry&state=failed",
        "replay": "/bulk?action=replay",
        "user": f"/users/{people['noor'][0]}",
        "event": f"/events/{people['sven'][1]}",
        "uncertain": "/uncertain",
        "operations": "/operations",
        "operation": "/operations/1",
        "nothing-found": "/deliveries?error=nothing+of+that",
        "fault": "/deliveries?state=lost&since=soon",
    }
    viewer.expect("status of 422")
    for name, path in pages.items():
        viewer.open(f"/console{path}")
        if name in SHOWN and suffix != "phone-dark":
            viewer.picture(f"{name}-{suffix}")
        assert viewer.violations() == [], name
        assert viewer.overflow() == 0, name


def test_the_switch_of_live_updates_ends_where_the_page_ends(api: LiveApi, view: View) -> None:
    viewer = view(str(api.http.base_url))
    for path in ("/console", "/console/failures", "/console/deliveries"):
        page = viewer.open(path)
        switch, search = (page.locator(each).bounding_box() for each in ("#live-switch", ".search"))
        assert switch is not None, path
        assert search is not None, path
        assert switch["x"] + switch["width"] == pytest.approx(search["x"] + search["width"], abs=1), path


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("size", [DESKTOP, PHONE], ids=["desktop", "phone"])
def test_pages_with_data(api: LiveApi, view: View, size: tuple[int, int], dark: bool) -> None:
    suffix = ("desktop" if size == DESKTOP else "phone") + ("-dark" if dark else "")
    walk(api, view(str(api.http.base_url), size, dark=dark), suffix)
