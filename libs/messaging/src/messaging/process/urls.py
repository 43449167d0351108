"""DATABASE_URL and REDIS_URL, checked completely before anything connects.

A URL holds a password. If the URL is malformed the password may end up in any part, such as the host, the port or the
database's name, and a driver's error message would quote that part. So a URL is refused here unless every part is
valid, with errors that quote nothing of it. Drivers' errors may then quote the parts of an accepted URL.
"""

import re
import ssl
from collections.abc import Mapping
from ipaddress import ip_address
from urllib.parse import SplitResult, parse_qsl, urlsplit

from messaging.errors import ConfigurationError

ENCODE = "percent-encode / ? # @ : % and spaces in user and password"

NOWHERE = "/dev/null/herald"
"""A folder of sockets that can't exist. If libpq objects to it, libpq has no objection to the rest of the URL."""

OPTIONS = {"db": r"\d{1,9}", "protocol": "[23]", "username": ".+", "password": ".+"}
TLS_OPTIONS = {
    "ssl_cert_reqs": "none|optional|required",
    "ssl_check_hostname": "(?i:true|false|yes|no|1|0)",
    "ssl_ca_certs": ".+",
    "ssl_ca_path": ".+",
    "ssl_certfile": ".+",
    "ssl_keyfile": ".+",
    "ssl_password": ".+",
}
"""The options that may follow the ? of a REDIS_URL. Herald sets redis-py's timeouts, retries, pools and encodings."""


def postgresql(url: str) -> str:
    """Check a DATABASE_URL, and return it.

    Raises:
        ConfigurationError: says what is wrong without repeating any of it.
    """
    _require_scheme(url, "postgresql://", "postgres://")
    authority, _, rest = url.partition("://")[2].partition("/")
    if authority.count("@") > 1 or "@" in rest:
        raise ConfigurationError(f"has an @ in the wrong place; {ENCODE}")
    if objection := _libpq_objects(url):
        raise ConfigurationError(f"{objection}; {ENCODE}")
    return url


def redis(url: str) -> str:
    """Check a REDIS_URL, and return it.

    Raises:
        ConfigurationError: says what is wrong without repeating any of it.
    """
    _require_scheme(url, "redis://", "rediss://", "unix://")
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise ConfigurationError(f"its host or port is invalid; {ENCODE}") from None
    if "@" in parts.path + parts.query or "#" in url or port == 0:
        raise ConfigurationError(f"has an @ or # in the wrong place, or port 0; {ENCODE}")
    if parts.scheme == "unix":
        _require_socket(parts)
    else:
        _require_server(parts)
    _require_options(parts)
    return url


def _require_scheme(url: str, *schemes: str) -> None:
    if not url.startswith(schemes):
        raise ConfigurationError(f"must begin with {' or '.join(schemes)}")
    if re.search(r"[\s\x00-\x1f\x7f]", url):
        raise ConfigurationError(f"has a space or a control character in it; {ENCODE}")


def _libpq_objects(url: str) -> str | None:
    """Return libpq's objection to a URL, raised when it parses the URL or begins to connect. It connects nowhere.

    libpq quotes parts of the URL, so its message is cut at the first quotation mark.
    """
    from psycopg import ProgrammingError, conninfo, pq

    try:
        parameters = conninfo.conninfo_to_dict(url)
    except ProgrammingError as error:
        return _unquoted(str(error))
    host = str(parameters.pop("hostaddr", None) or parameters.get("host", ""))
    parameters.pop("gssencmode", None)  # libpq refuses it for a socket
    parameters["host"] = ",".join(NOWHERE for _ in host.split(","))
    connection = pq.PGconn.connect_start(conninfo.make_conninfo("", **parameters).encode())
    message = connection.error_message.decode(errors="replace")
    connection.finish()
    lines = [line for line in message.splitlines() if NOWHERE not in line and not line.startswith("\t")]
    return _unquoted(lines[0]) if lines else None


def _unquoted(message: str) -> str:
    return message.partition('"')[0].strip(" :\n") or "libpq can't read it"


def _require_socket(parts: SplitResult) -> None:
    if parts.netloc.rpartition("@")[2] or len(parts.path) < len("/s"):
        raise ConfigurationError(f"must name a socket: unix:///path/of/the/socket?db=0; {ENCODE}")


def _require_server(parts: SplitResult) -> None:
    if not _is_host(parts.hostname or "localhost"):
        raise ConfigurationError(f"its host is invalid; {ENCODE}")
    if not re.fullmatch(r"/?\d{0,9}", parts.path):
        raise ConfigurationError(f"only a database's number may follow the port: redis://host:6379/0; {ENCODE}")


def _is_host(name: str) -> bool:
    try:
        if ":" in name:
            return bool(ip_address(name))
        return bool(re.fullmatch(r"[\w.-]+", name) and name.encode("idna"))
    except ValueError:
        return False


def _require_options(parts: SplitResult) -> None:
    allowed = OPTIONS | (TLS_OPTIONS if parts.scheme == "rediss" else {})
    options = dict(parse_qsl(parts.query, keep_blank_values=True))
    if any(not re.fullmatch(allowed.get(name, "(?!)"), value) for name, value in options.items()):
        raise ConfigurationError(f"an option after the ? is invalid; Herald takes {', '.join(allowed)}")
    if parts.scheme == "rediss":
        _require_certificates(options)


def _require_certificates(options: Mapping[str, str]) -> None:
    try:
        context = ssl.create_default_context(cafile=options.get("ssl_ca_certs"), capath=options.get("ssl_ca_path"))
        if certificate := options.get("ssl_certfile") or options.get("ssl_keyfile"):
            context.load_cert_chain(certificate, options.get("ssl_keyfile"), options.get("ssl_password", ""))
    except OSError:
        raise ConfigurationError("the files that its ssl_ options name can't be read, or don't fit together") from None
