"""Whether a browser sends a request for a page of ours, or for a page of another site (cross-site request forgery)."""

from fastapi import Depends, Request
from starlette.datastructures import Headers

from users_api.problems import Problem

OTHER_SITE = "A page of another site sent this. Operators' actions are for our own pages, and for programs."


def is_from_here(headers: Headers) -> bool:
    """Return whether a request that changes something comes from a page of ours, or from no browser at all."""
    site = headers.get("sec-fetch-site")
    if site is not None:
        return site == "same-origin"
    origin = headers.get("origin")
    return origin is None or origin.partition("://")[2] == headers.get("host")


def _refuse_other_sites(request: Request) -> None:
    if not is_from_here(request.headers):
        raise Problem(403, OTHER_SITE)


FROM_HERE = Depends(_refuse_other_sites)
"""For routes by which operators act: they have no login that a page of another site couldn't use."""
