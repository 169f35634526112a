"""The address a call comes from. Pure; knows nothing of HTTP servers.

``X-Forwarded-For`` is believed only as far as trusted proxies vouch for it: read from the right, the first address
that is not one of ours is the client's. Anything before it may be invented.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


def networks(texts: Sequence[str]) -> tuple[Network, ...]:
    """TRUSTED_PROXIES, read."""
    return tuple(ipaddress.ip_network(text) for text in texts)


def client(peer: str, forwarded: Sequence[str], trusted: Sequence[Network]) -> str:
    """The client's address: `peer` is the socket's other end, `forwarded` the X-Forwarded-For headers in order."""
    hops = [hop.strip() for header in forwarded for hop in header.split(",")]
    believed = peer
    while hops and _within(believed, trusted):
        hop = _plain(hops.pop())
        if hop is None:
            break
        believed = hop
    return believed


def bucket(address: str) -> str:
    """What rate limits count: an IPv4 address, or the /64 of an IPv6 address, which one customer owns."""
    try:
        ip = ipaddress.ip_address(address)
    except ValueError:
        return address
    if isinstance(ip, ipaddress.IPv4Address):
        return address
    if ip.ipv4_mapped:
        return str(ip.ipv4_mapped)
    return str(ipaddress.ip_network((ip, 64), strict=False).network_address)


def _plain(hop: str) -> str | None:
    """An address without port or brackets; None when it is none."""
    host = hop[1:].partition("]")[0] if hop.startswith("[") else hop
    if host.count(":") == 1:
        host = host.partition(":")[0]
    try:
        return str(ipaddress.ip_address(host))
    except ValueError:
        return None


def _within(address: str, trusted: Sequence[Network]) -> bool:
    try:
        ip = ipaddress.ip_address(address)
    except ValueError:
        return False
    plain = ip.ipv4_mapped if isinstance(ip, ipaddress.IPv6Address) and ip.ipv4_mapped else ip
    return any(plain in network for network in trusted)
