"""Get a file from a folder or a URL: in bounded time and size, and without a secret in any message."""

from contextlib import closing
from http.client import HTTPException
from pathlib import Path
from time import monotonic
from urllib.parse import urlsplit
from urllib.request import urlopen

from contracts.errors import ContractError

_SECONDS = 10.0
_BYTES = 2_000_000
_PIECE = 65_536


class Unreadable(ContractError):
    """There are no published schemas there. Name the folder `schemas` of libs/contracts, or a URL that serves it."""


def is_url(where: str) -> bool:
    """Return whether it is a URL, rather than a folder."""
    return where.lower().startswith(("http://", "https://"))


def without_secrets(where: str) -> str:
    """Return a URL as it may be printed in the log of a pipeline."""
    if not is_url(where):
        return where
    scheme, _, rest = where.partition("://")
    host, slash, path = rest.partition("/")
    return f"{scheme}://{host.rpartition('@')[2]}{slash}{path.partition('?')[0]}"


def get(where: str, name: str) -> bytes:
    """Return the content of a file in a folder or at a URL.

    Raises:
        Unreadable: there is no such file, or the server can't be reached, takes too long, or sends too much.
    """
    if is_url(where):
        return _fetch(f"{where.rstrip('/')}/{name}")
    path = Path(where) / name
    try:
        return path.read_bytes()
    except OSError as error:
        raise Unreadable(f"{path} can't be read: {error.strerror}") from None


def _fetch(url: str) -> bytes:
    named = without_secrets(url)
    try:
        if "@" in urlsplit(url).netloc or "?" in url:
            raise Unreadable(f"{named} has a password or a query, which isn't supported: fetch the files into a folder")
        return _read(url)
    except (OSError, HTTPException, ValueError) as error:
        raise Unreadable(f"{named} can't be read: {error}") from None


def _read(url: str) -> bytes:
    end, content = monotonic() + _SECONDS, b""
    with closing(urlopen(url, timeout=_SECONDS)) as answer:  # noqa: S310  # http and https alone
        while piece := answer.read1(_PIECE):
            content += piece
            if len(content) > _BYTES:
                raise ValueError(f"it has more than {_BYTES} bytes")
            if monotonic() > end:
                raise ValueError(f"it takes more than {_SECONDS:.0f} seconds")
    return content
