"""MAIL_URL for a provider: `scheme://KEY@host[:port][/path][?options]`, percent-encoded as any URL.

The mail goes to that host and port, over https unless `?tls=no`. An example of the provider's URL, which an error shows
to the operator, also says what a URL needs: one key or two, and whether a path follows the host.
"""

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from urllib.parse import unquote, urlsplit

from notifier.errors import MailUrlInvalid

_HOST = re.compile(r"[a-z0-9._-]+|[0-9a-f.]*:[0-9a-f.:]+")
_PATH = re.compile(r"[A-Za-z0-9._-]*")


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where a provider's API is, and how to log in. `origin`: scheme, host and port; `authority`: host and port."""

    origin: str
    authority: str
    user: str = field(repr=False)
    password: str = field(repr=False)
    path: str
    options: Mapping[str, str] = field(repr=False)


def parse(url: str, example: str, options: Collection[str] = ()) -> Endpoint:
    """Read a MAIL_URL. `options`: the names that may follow the `?` beside `tls`.

    Raises:
        MailUrlInvalid: says what is wrong, without the URL, which holds a secret.
    """
    wanted = urlsplit(example)
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        raise MailUrlInvalid("its host or port can't be read; percent-encode / ? # @ : in the key", example) from None
    user, password, path = unquote(parts.username or ""), unquote(parts.password or ""), parts.path.strip("/")
    chosen = _options(parts.query, {"tls", *options}, example)
    if not _HOST.fullmatch(host) or port == 0:
        raise MailUrlInvalid("it has no host in ASCII, or no usable port; percent-encode / ? # in the key", example)
    if not user or bool(password) != bool(wanted.password) or not _is_plain(user + password):
        fault = "its key, or one of two, is missing, too much or not in ASCII; percent-encode / ? # @ : in it"
        raise MailUrlInvalid(fault, example)
    if bool(path) != bool(wanted.path) or not _PATH.fullmatch(path) or parts.fragment:
        raise MailUrlInvalid("what follows the host isn't as expected; percent-encode / ? # in the key", example)
    scheme, standard_port = ("http", 80) if chosen.pop("tls", "yes") == "no" else ("https", 443)
    host = f"[{host}]" if ":" in host else host
    authority = host if port in (None, standard_port) else f"{host}:{port}"
    return Endpoint(f"{scheme}://{authority}", authority, user, password, path, chosen)


def _options(query: str, known: Collection[str], example: str) -> dict[str, str]:
    """Read what follows the `?`. A `+` is a plus, as a key may contain it."""
    pairs = [pair.partition("=")[::2] for pair in query.split("&") if pair]
    options = {name: unquote(value) for name, value in pairs}
    wrong = len(options) < len(pairs) or not options.keys() <= set(known) or not all(map(_is_plain, options.values()))
    if wrong or options.get("tls", "yes") not in ("yes", "no"):
        names = ", ".join(f"{name}=" for name in sorted(known))
        raise MailUrlInvalid(f"after the ? it takes only {names} each once, and tls is yes or no", example)
    return options


def _is_plain(text: str) -> bool:
    """Return whether a header can carry it."""
    return bool(text) and text.isascii() and text.isprintable() and " " not in text
