"""What stand-ins read and write: a request, the mail in it, an answer."""

import json
from abc import ABC, abstractmethod
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar


@dataclass(frozen=True, slots=True)
class Request:
    """An HTTP request. `headers`: by lower-case name."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes

    def json(self) -> dict[str, Any]:
        """Return the JSON object in the body, which must be said to be one."""
        require(self.headers.get("content-type") == "application/json", "Content-Type is not application/json")
        body = json.loads(self.body)
        require(isinstance(body, dict), "the body is no JSON object")
        return dict(body)


@dataclass(frozen=True, slots=True)
class Taken:
    """A mail as the provider has read it. `key`: what its events are matched by. `files`: (name, type, content)."""

    key: str
    sender: str
    recipient: str
    subject: str
    text: str
    html: str
    headers: Mapping[str, str]
    files: tuple[tuple[str, str, bytes], ...] = ()


@dataclass(frozen=True, slots=True)
class Reply:
    """An HTTP answer."""

    status: int
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def json(cls, status: int, body: object, **headers: str) -> "Reply":
        """Make an answer in JSON; a header's underscores become dashes."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return cls(status, json.dumps(body).encode(), {"Content-Type": "application/json", **named})


class Wrong(Exception):
    """The request isn't as the provider's documentation states it. The sender has to be corrected."""


class Provider(ABC):
    """A provider's API."""

    login: ClassVar[str]
    """What stands before the @ in MAIL_URL, and what follows the port, without the `?`."""
    rest: ClassVar[str] = ""

    def url(self, port: int) -> str:
        """Return the MAIL_URL for a stand-in on a port of this machine."""
        path, _, query = self.rest.partition("?")
        more = f"&{query}" if query else ""
        return f"{type(self).__name__.lower()}://{self.login}@127.0.0.1:{port}{path}?tls=no{more}"

    @abstractmethod
    def read(self, request: Request) -> Taken:
        """Return the mail of a request; Wrong, or any error of the standard library, if it isn't as documented."""

    @abstractmethod
    def accepted(self, number: int) -> Reply:
        """Return the answer to the mail of this number."""

    @abstractmethod
    def rejected(self) -> Reply:
        """Return the answer to a mail whose recipient's address is refused."""

    @abstractmethod
    def throttled(self, after: int) -> Reply:
        """Return the answer to one mail too many, with the seconds to wait."""

    @abstractmethod
    def refused(self, why: str) -> Reply:
        """Return the answer to a request that isn't as documented."""


def require(holds: object, otherwise: str) -> None:
    """Raise Wrong unless it holds."""
    if not holds:
        raise Wrong(otherwise)


def require_fields(found: Mapping[str, object], wanted: Collection[str], optional: Collection[str] = ()) -> None:
    """Raise Wrong unless these fields are there, and no others."""
    require(found.keys() >= set(wanted), f"missing: {set(wanted) - found.keys()}")
    require(found.keys() <= {*wanted, *optional}, f"unknown: {found.keys() - {*wanted, *optional}}")
