"""The pages about deliveries, with data: axe finds nothing, nothing is wider than the screen, pictures are made."""

import pytest
from tests.console.conftest import View
from tests.console.scene import afternoon
from tests.console.viewing import LOOKS, Viewer
from tests.integration.live_api import LiveApi

SHOWN = {
    "failures",
    "search",
    "bulk",
    "user",
    "event",
    "uncertain",
    "operations",
    "operation",
    "register",
    "registered",
}
"""Pages whose pictures are in docs/console."""


REFUSALS = {
    "bulk-refused": "Only deliveries that are pending or retrying can be cancelled.",
    "bulk-nobody": "There is no user with this address.",
    "bulk-nothing": "Nothing of that can be moved now.",
    "bulk-fault": "since: not a time.",
    "fault": "since: not a time.",
}
"""What pages say that refuse something."""


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
        "register": "/register",
        "registered": f"/register/{people['yuki'][0]}",
        "bulk-refused": "/bulk?action=cancel&state=succeeded",
        "bulk-nobody": "/bulk?action=retry&email=nobody%40example.com",
        "bulk-nothing": "/bulk?action=retry&state=failed&error=nothing+of+that",
        "bulk-fault": "/bulk?action=retry&since=soon",
        "nothing-found": "/deliveries?error=nothing+of+that",
        "fault": "/deliveries?state=lost&since=soon",
    }
    viewer.expect("status of 422")
    for name, path in pages.items():
        page = viewer.open(f"/console{path}")
        if name in REFUSALS:
            assert REFUSALS[name] in page.inner_text("main")
        if name in SHOWN and suffix != "phone-dark":
            viewer.picture(f"{name}-{suffix}")
        viewer.is_readable(name)


def test_the_switch_of_live_updates_ends_where_the_page_ends(api: LiveApi, view: View) -> None:
    viewer = view(str(api.http.base_url))
    for path in ("/console", "/console/failures", "/console/deliveries"):
        page = viewer.open(path)
        switch, search = (page.locator(each).bounding_box() for each in ("#live-switch", ".search"))
        assert switch is not None, path
        assert search is not None, path
        assert switch["x"] + switch["width"] == pytest.approx(search["x"] + search["width"], abs=1), path


@pytest.mark.parametrize("look", LOOKS)
def test_pages_with_data(api: LiveApi, view: View, look: str) -> None:
    size, dark = LOOKS[look]
    walk(api, view(str(api.http.base_url), size, dark=dark), look)
