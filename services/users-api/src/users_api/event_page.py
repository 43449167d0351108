"""The page `/events`: the event catalogue as HTML, without a script and without anything from elsewhere.

The route imports this module when the page is first requested: the API needs neither Jinja2 nor the document for
anything else.
"""

import re
from functools import cache

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape

from contracts import asyncapi
from contracts.catalogue import POLICIES, entries, envelope

_CODE = re.compile("`([^`]+)`")


def code(text: str) -> Markup:
    """Escape a text, and show what it has in backticks as code."""
    return Markup(_CODE.sub(r"<code>\1</code>", str(escape(text))))  # noqa: S704  # it is escaped


@cache
def event_page(root: str) -> str:
    """Render the page. `root`: the path that the API is served under, without a slash at its end."""
    environment = Environment(
        loader=PackageLoader("users_api"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["code"] = code
    document = asyncapi.published()
    template = environment.get_template("events.html.j2")
    return template.render(root=root, policies=POLICIES, entries=entries(document), envelope=envelope(document))
