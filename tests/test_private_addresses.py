"""`forbid_private` against the registries of special addresses, row by row."""

from __future__ import annotations

from ipaddress import IPv4Address, ip_address, ip_network

import pytest

from unifetch import ConnectError
from unifetch.model.route import refuse_private

# The IANA IPv4 and IPv6 Special-Purpose Address Registries (RFC 6890), each block that is not globally reachable or of
# which nobody knows where it leads; and what the registries of the address spaces call multicast or reserved.
NOT_PUBLIC = {
    "0.0.0.0/8": "this network, RFC 791",
    "10.0.0.0/8": "private use, RFC 1918",
    "100.64.0.0/10": "shared address space, RFC 6598",
    "127.0.0.0/8": "loopback, RFC 1122",
    "169.254.0.0/16": "link-local, RFC 3927",
    "172.16.0.0/12": "private use, RFC 1918",
    "192.0.0.0/24": "IETF protocol assignments, RFC 6890",
    "192.0.0.0/29": "IPv4 service continuity, RFC 7335",
    "192.0.0.8/32": "IPv4 dummy address, RFC 7600",
    "192.0.0.9/32": "port control anycast, RFC 7723",
    "192.0.0.10/32": "TURN anycast, RFC 8155",
    "192.0.0.170/32": "NAT64/DNS64 discovery, RFC 8880",
    "192.0.0.171/32": "NAT64/DNS64 discovery, RFC 8880",
    "192.0.2.0/24": "documentation, RFC 5737",
    "192.88.99.0/24": "6to4 relay anycast, deprecated, RFC 7526",
    "192.88.99.2/32": "6a44 relay anycast, RFC 6751",
    "192.168.0.0/16": "private use, RFC 1918",
    "198.18.0.0/15": "benchmarking, RFC 2544",
    "198.51.100.0/24": "documentation, RFC 5737",
    "203.0.113.0/24": "documentation, RFC 5737",
    "224.0.0.0/4": "multicast, RFC 5771",
    "240.0.0.0/4": "reserved, RFC 1112",
    "255.255.255.255/32": "limited broadcast, RFC 8190",
    "::/128": "unspecified, RFC 4291",
    "::1/128": "loopback, RFC 4291",
    "::/96": "IPv4-compatible, deprecated, RFC 4291",
    "::ffff:0:0:0/96": "IPv4-translated, RFC 2765",
    "64:ff9b:1::/48": "local IPv4/IPv6 translation, RFC 8215",
    "100::/64": "discard only, RFC 6666",
    "100:0:0:1::/64": "dummy prefix, RFC 9780",
    "200::/7": "reserved, RFC 4048",
    "2001::/23": "IETF protocol assignments, RFC 2928",
    "2001::/32": "Teredo, RFC 4380",
    "2001:1::1/128": "port control anycast, RFC 7723",
    "2001:1::2/128": "TURN anycast, RFC 8155",
    "2001:1::3/128": "service registration anycast, RFC 9665",
    "2001:2::/48": "benchmarking, RFC 5180",
    "2001:3::/32": "AMT, RFC 7450",
    "2001:4:112::/48": "AS112, RFC 7535",
    "2001:10::/28": "ORCHID, deprecated, RFC 4843",
    "2001:20::/28": "ORCHIDv2, RFC 7343",
    "2001:30::/28": "drone remote ID, RFC 9374",
    "2001:db8::/32": "documentation, RFC 3849",
    "2002::/16": "6to4, RFC 3056",
    "3fff::/20": "documentation, RFC 9637",
    "4000::/3": "reserved, RFC 4291",
    "5f00::/16": "segment routing identifiers, RFC 9602",
    "fc00::/7": "unique local, RFC 4193",
    "fe00::/9": "reserved, RFC 4291",
    "fe80::/10": "link-local, RFC 4291",
    "fec0::/10": "site-local, deprecated, RFC 3879",
    "ff00::/8": "multicast, RFC 4291",
}
# Blocks of the same registries that are globally reachable, and the neighbours of those that are not.
PUBLIC = [
    *("1.0.0.0", "9.255.255.255", "11.0.0.0", "100.63.255.255", "100.128.0.0", "126.255.255.255", "128.0.0.0"),
    *("169.253.255.255", "169.255.0.0", "172.15.255.255", "172.32.0.0", "191.255.255.255", "192.0.1.0", "192.0.3.0"),
    *("192.31.196.1", "192.52.193.1", "192.175.48.1"),  # AS112 and AMT: RFC 7535, RFC 7450, RFC 7534
    *("192.88.98.255", "192.88.100.0", "192.167.255.255", "192.169.0.0", "198.17.255.255", "198.20.0.0"),
    *("198.51.99.255", "198.51.101.0", "203.0.112.255", "203.0.114.0", "223.255.255.255"),
    *("2000::", "2001:200::", "2001:db7:ffff::", "2001:db9::", "2003::", "2606:4700::1111", "2620:4f:8000::1"),
    *("3ffe:ffff::", "3fff:1000::", "3fff:ffff::", "64:ff9b::8.8.8.8", "::ffff:8.8.8.8"),
]


def is_public(address: str) -> bool:
    """What the check says."""
    try:
        refuse_private("a.test", address)
    except ConnectError:
        return False
    return True


@pytest.mark.parametrize("block", NOT_PUBLIC)
def test_special_addresses(block: str) -> None:
    """The first address of each block, the last, and one between are refused, inside of IPv6 and with a scope, too."""
    network = ip_network(block)
    for address in (network[0], network[-1], network[network.num_addresses // 2]):
        written = [str(address)]
        if isinstance(address, IPv4Address):
            written += [f"::ffff:{address}", f"64:ff9b::{address}", f"::{address}", f"::ffff:0:{address}"]
            written += [f"64:ff9b:1::{address}", f"2606:4700::5efe:{address}", f"2606:4700::200:5efe:{address}"]
            written += [f"2002:{int(address) >> 16:x}:{int(address) & 0xFFFF:x}::1"]
        else:
            written += [f"{address}%eth0", f"{address}%2"]

        assert [] == [each for each in written if is_public(each)]


@pytest.mark.parametrize("address", PUBLIC)
def test_public_addresses(address: str) -> None:
    """What is beside a special block, or in one that is globally reachable, is let through."""
    assert is_public(address)
    if isinstance(parsed := ip_address(address), IPv4Address):
        assert is_public(f"::ffff:{parsed}")
        assert is_public(f"64:ff9b::{parsed}")
    else:
        assert is_public(f"{address}%eth0")
