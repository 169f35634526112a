"""The client's address behind trusted proxies (TRUSTED_PROXIES), and the address that rate limits count. Pure.

``X-Forwarded-For`` is read from the right: the first address that is not in a trusted network is the client's, and
anything further left may be invented. Several headers, ports and brackets are accepted, and nonsense ends the search
instead of the request. Why this is not aiohttp-remotes: docs/decisions/0017-kept-code.md.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


def networks(texts: Sequence[str]) -> tuple[Network, ...]:
    """TRUSTED_PROXIES, parsed."""
    return tuple(ipaddress.ip_network(text) for text in texts)


def client(peer: str, forwarded: Sequence[str], trusted: Sequence[Network]) -> str:
    """The client's address: `peer` is the socket's other end, `forwarded` the X-Forwarded-For headers in order."""
    hops = [hop.strip() for header in forwarded for hop in header.split(",")]
    address = peer
    while hops and _within(address, trusted):
        hop = _plain(hops.pop())
        if hop is None:
            break
        address = hop
    return address


def bucket(address: str) -> str:
    """What rate limits count: an IPv4 address, or the /64 network of an IPv6 address, which one customer owns."""
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
    """An address without port or brackets; None for anything else."""
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
