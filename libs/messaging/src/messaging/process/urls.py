"""DATABASE_URL and REDIS_URL, checked completely before anything connects.

A URL holds a password, and one that is written wrongly has it anywhere: in the host, in the port, in the name of the
database, from where a driver's message repeats it. So a URL is refused here unless each part is what it looks like,
in words that repeat nothing of it, and what is accepted can be named by errors later.
"""

import re
import ssl
from collections.abc import Mapping
from ipaddress import ip_address
from urllib.parse import SplitResult, parse_qsl, urlsplit

from messaging.errors import ConfigurationError

ENCODE = "percent-encode / ? # @ : % and spaces in user and password"

NOWHERE = "/dev/null/herald"
"""A folder of sockets that can't be: what libpq says of it shows that it had no other objection."""

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
"""What may follow the ? of a REDIS_URL. Herald sets timeouts, retries, pools and encodings of redis-py by itself."""


def postgresql(url: str) -> str:
    """Check a DATABASE_URL, and return it.

    Raises:
        ConfigurationError: says what is wrong without repeating any of it.
    """
    _require_scheme(url, "postgresql://", "postgres://")
    authority, _, rest = url.partition("://")[2].partition("/")
    if authority.count("@") > 1 or "@" in rest:
        raise ConfigurationError(f"an @ stands where none can; {ENCODE}")
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
        raise ConfigurationError(f"its host or port can't be read; {ENCODE}") from None
    if "@" in parts.path + parts.query or "#" in url or port == 0:
        raise ConfigurationError(f"something stands where it can't; {ENCODE}")
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
    """Return what PostgreSQL's library has against a URL: as it reads it, and as it would connect. It doesn't connect.

    Whatever libpq quotes is of the URL, so its words are taken up to the first quotation mark.
    """
    from psycopg import ProgrammingError, conninfo, pq

    try:
        parameters = conninfo.conninfo_to_dict(url)
    except ProgrammingError as error:
        return _unquoted(str(error))
    host = str(parameters.pop("hostaddr", None) or parameters.get("host", ""))
    parameters.pop("gssencmode", None)  # a socket, as here, has none
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
        raise ConfigurationError(f"its host can't be one; {ENCODE}")
    if not re.fullmatch(r"/?\d{0,9}", parts.path):
        raise ConfigurationError(f"only the number of a database may follow the port: redis://host:6379/0; {ENCODE}")


def _is_host(name: str) -> bool:
    try:
        if ":" in name:
            return bool(ip_address(name))
        return bool(re.fullmatch(r"[\w.-]+", name) and name.encode("idna"))
    except ValueError:
        return False


def _require_options(parts: SplitResult) -> None:
    known = OPTIONS | (TLS_OPTIONS if parts.scheme == "rediss" else {})
    options = dict(parse_qsl(parts.query, keep_blank_values=True))
    if any(not re.fullmatch(known.get(name, "(?!)"), value) for name, value in options.items()):
        raise ConfigurationError(f"an option after the ? can't be; Herald takes {', '.join(known)}")
    if parts.scheme == "rediss":
        _require_certificates(options)


def _require_certificates(options: Mapping[str, str]) -> None:
    try:
        context = ssl.create_default_context(cafile=options.get("ssl_ca_certs"), capath=options.get("ssl_ca_path"))
        if certificate := options.get("ssl_certfile") or options.get("ssl_keyfile"):
            context.load_cert_chain(certificate, options.get("ssl_keyfile"), options.get("ssl_password", ""))
    except OSError:
        raise ConfigurationError("the files that its ssl_ options name can't be read, or don't fit together") from None
