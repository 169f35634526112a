"""Which address a request is counted against."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from graph_service.api.client_address import bucket, client, networks

OURS = networks(["10.0.0.0/8", "::1/128"])


@pytest.mark.parametrize(
    ("peer", "forwarded", "found"),
    [
        ("203.0.113.9", ["198.51.100.1"], "203.0.113.9"),
        ("10.0.0.1", ["198.51.100.1"], "198.51.100.1"),
        ("10.0.0.1", ["6.6.6.6, 198.51.100.1, 10.0.0.2"], "198.51.100.1"),
        ("10.0.0.1", ["6.6.6.6", "198.51.100.1"], "198.51.100.1"),
        ("10.0.0.1", [], "10.0.0.1"),
        ("10.0.0.1", ["nonsense"], "10.0.0.1"),
        ("::ffff:10.0.0.1", ["198.51.100.1:4711"], "198.51.100.1"),
        ("::1", ["[2001:db8::1]:443"], "2001:db8::1"),
        ("", ["198.51.100.1"], ""),
    ],
)
def test_the_header_is_believed_as_far_as_proxies_are_trusted(
    peer: str, forwarded: list[str], found: str
) -> None:
    """From the right; what a client wrote itself stands further left and is not read."""
    assert client(peer, forwarded, OURS) == found


@given(st.lists(st.text(max_size=30), max_size=4))
def test_an_untrusted_peer_cannot_choose_the_address(forwarded: list[str]) -> None:
    """Whatever the header says."""
    assert client("203.0.113.9", forwarded, OURS) == "203.0.113.9"


def test_the_addresses_of_one_customer_are_one_bucket() -> None:
    """An IPv6 network of 64 bits is one customer's; IPv4 inside IPv6 is IPv4."""
    assert bucket("2001:db8::1") == bucket("2001:db8::ffff:1") != bucket("2001:db8:0:1::1")
    assert bucket("::ffff:198.51.100.1") == bucket("198.51.100.1") == "198.51.100.1"
    assert bucket("") == ""
