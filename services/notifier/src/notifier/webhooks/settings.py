"""The settings of the webhook. WEBHOOK_URL may hold a token: no message repeats it."""

import re
from ipaddress import ip_address
from typing import Annotated, Literal

import httpx
from pydantic import Field, ValidationInfo, field_validator
from pydantic_core import PydanticCustomError
from pydantic_settings import NoDecode

from messaging.errors import ConfigurationError
from messaging.process.settings import DatabaseSettings, Settings, secret
from notifier.webhooks.addresses import is_public
from notifier.webhooks.endpoint import Endpoint
from notifier.webhooks.signature import read_secrets


def read_url(text: str) -> httpx.URL:
    """Check a WEBHOOK_URL, and return it.

    Raises:
        ConfigurationError: says what is wrong, and repeats nothing of the URL.
    """
    if re.search(r"[\s\x00-\x1f\x7f]", text):
        raise ConfigurationError("has a space or a control character in it; percent-encode it")
    url = httpx.URL(text)
    if url.scheme not in ("http", "https") or not url.host:
        raise ConfigurationError("must be like https://example.com/webhooks")
    url.host.encode("idna")  # a label may be too long for the resolver
    if url.userinfo or url.fragment or "#" in text:
        raise ConfigurationError("takes no user, no password and no fragment; a token may be in its path or query")
    return url


class EndpointSettings(DatabaseSettings):
    """Which endpoint it is."""

    webhook_allow_private: Literal["yes", "no"] = "no"
    webhook_url: Annotated[httpx.URL, secret(read_url), Field(repr=False)]


class WebhookSettings(EndpointSettings):
    """What it takes to call the endpoint.

    `webhook_secret`: the secrets; each message is signed with all of them. `webhook_timeout`: seconds for one call.
    """

    webhook_secret: Annotated[tuple[bytes, ...], NoDecode, secret(read_secrets), Field(repr=False)]
    webhook_timeout: float = Field(default=20.0, gt=0, le=30)

    @field_validator("webhook_url", mode="after")
    @classmethod
    def _require_public(cls, url: httpx.URL, info: ValidationInfo) -> httpx.URL:
        """Refuse what is private at a glance; names are resolved before each request (`addresses.Guard`)."""
        if info.data.get("webhook_allow_private") == "yes":
            return url
        if url.scheme == "http":
            fault = "must be https: a webhook holds a person's name and address. For a host in a network of your own"
        elif _is_private(url.host):
            fault = "leads to an address that isn't public. If the endpoint is yours"
        else:
            return url
        raise PydanticCustomError("private", "{fault}, set WEBHOOK_ALLOW_PRIVATE=yes", {"fault": fault})


class WorkerSettings(WebhookSettings, Settings):
    """What the worker needs."""


def open_endpoint(config: WebhookSettings) -> Endpoint:
    """Return the endpoint. It isn't called yet."""
    return Endpoint(
        config.webhook_url,
        config.webhook_secret,
        timeout=config.webhook_timeout,
        allow_private=config.webhook_allow_private == "yes",
    )


def _is_private(host: str) -> bool:
    try:
        return not is_public(str(ip_address(host)))
    except ValueError:
        return False
