"""Which addresses a webhook may be sent to: public ones, and no others, unless WEBHOOK_ALLOW_PRIVATE=yes.

Otherwise a URL that another company chose could make the notifier call our own services, or the metadata service of the
cloud it runs in. The host's name is resolved here, and the request goes to the address that was checked: a name that is
resolved a second time may lead elsewhere by then. So the URL gets the address in place of the name. The header `Host`
and the TLS certificate are still those of the name.
"""

import asyncio
import socket
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address, ip_network

import httpx

from notifier.webhooks.errors import EndpointRefused

GLOBAL_UNICAST = IPv6Network("2000::/3")
"""All that IANA has given out of IPv6 for hosts on the internet."""

NAT64 = IPv6Network("64:ff9b::/96")
"""Behind these addresses are those of IPv4 that their last 32 bits name (RFC 6052)."""

NOT_PUBLIC = tuple(map(ip_network, ("168.63.129.16", "192.0.0.0/24", "192.88.99.0/24", "3fff::/20")))
"""What `is_global` doesn't know, in some versions of Python: Azure's metadata service, whose address is public by its
number (those of other clouds are private), protocols' own, former relays of 6to4, and documentation."""


def is_public(text: str) -> bool:
    """Return whether an IP address is one of a host on the internet."""
    address = ip_address(text)
    if isinstance(address, IPv6Address):
        inner = _inner(address)
        if inner is None:
            return address in GLOBAL_UNICAST and _is_global(address)
        address = inner
    return _is_global(address)


def _is_global(address: IPv4Address | IPv6Address) -> bool:
    return address.is_global and not address.is_multicast and not any(address in network for network in NOT_PUBLIC)


def _inner(address: IPv6Address) -> IPv4Address | None:
    """Return the IPv4 address that an IPv6 address stands for, if it does."""
    if address in NAT64:
        return IPv4Address(int(address) & 0xFFFFFFFF)
    return address.ipv4_mapped or address.sixtofour


class Guard:
    """Sends each request of a client to a public address of its host. For `notifier.http.Client(prepare=…)`."""

    def __init__(self) -> None:
        self._turn = 0

    async def __call__(self, request: httpx.Request) -> None:
        """Resolve the request's host, and put a checked address in its place.

        Raises:
            EndpointRefused: not all of the host's addresses are public.
            httpx.ConnectError: the host couldn't be resolved.
        """
        host = request.url.raw_host.decode("ascii")
        addresses = await _resolve(host)
        refused = [address for address in addresses if not is_public(address)]
        if refused:
            raise EndpointRefused(
                f"WEBHOOK_URL leads to {refused[0]}, which isn't a public address; nothing was sent. If the endpoint"
                " is yours, set WEBHOOK_ALLOW_PRIVATE=yes"
            )
        request.extensions["sni_hostname"] = host
        request.url = request.url.copy_with(host=addresses[self._turn % len(addresses)])

    def take_next(self) -> None:
        """Use another of the host's addresses from now on, because there was no connection to this one."""
        self._turn += 1


async def _resolve(host: str) -> list[str]:
    """Return the addresses of a host, in the system's order of preference."""
    try:
        found = await asyncio.get_running_loop().getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except OSError as error:
        raise httpx.ConnectError("the host can't be resolved") from error
    return list(dict.fromkeys(str(address[0]) for *_, address in found))
