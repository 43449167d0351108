"""Which addresses are public: no address of a private network, of this machine or of a cloud's metadata service is."""

import pytest

from notifier.webhooks.addresses import is_public

PUBLIC = """
    1.1.1.1 8.8.8.8 93.184.215.14 172.15.0.1 172.32.0.1 192.167.0.1 100.63.0.1 100.128.0.1 169.253.1.1
    2606:4700:4700::1111 2a00:1450:4001:800::200e ::ffff:8.8.8.8 64:ff9b::8.8.8.8 2002:808:808::1
"""
PRIVATE = """
    0.0.0.0 0.1.2.3 10.0.0.1 100.64.0.1 100.100.100.200 127.0.0.1 127.255.255.254 168.63.129.16 169.254.169.254
    172.16.0.1 172.31.255.255 192.0.0.192 192.0.2.1 192.88.99.1 192.168.1.1 198.18.0.1 198.51.100.1 203.0.113.1
    224.0.0.1 239.255.255.255 240.0.0.1 255.255.255.255
    :: ::1 ::7f00:1 ::8.8.8.8 ::ffff:127.0.0.1 ::ffff:169.254.169.254 ::ffff:10.0.0.1 ::ffff:224.0.0.1
    64:ff9b::127.0.0.1 64:ff9b::169.254.169.254 64:ff9b::10.1.2.3 64:ff9b:1::8.8.8.8 64:ff9b:1::10.0.0.1
    2002:7f00:1:: 2002:a9fe:a9fe::1 2002:a00:1:: 2001::1 2001:db8::1 2001:10::1 3fff::1 5f00::1 100::1 4000::1
    fc00::1 fd00:ec2::254 fd20:ce::254 fe80::1 fe80::1%eth0 fe80::a9fe:a9fe fec0::1 ff02::1 ff0e::1
"""


@pytest.mark.parametrize("address", PUBLIC.split())
def test_a_public_address(address: str) -> None:
    assert is_public(address)


@pytest.mark.parametrize("address", PRIVATE.split())
def test_an_address_that_is_not_public(address: str) -> None:
    assert not is_public(address)
