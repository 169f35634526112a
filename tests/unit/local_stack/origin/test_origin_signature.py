"""Request signatures, checked against hand-made texts of both versions."""

from __future__ import annotations

import base64
import hashlib
import hmac

import pytest

from local_stack.origin.signature import Keys, SignedRequest, genuine, parameter, timely

KEYS = Keys("pub", "sub", "sec")


def signed(text: str) -> str:
    """The padded MAC of a text."""
    digest = hmac.new(b"sec", text.encode(), hashlib.sha256).digest()
    return base64.urlsafe_b64encode(digest).decode()


def request(
    method: str, path: str, query: str, signature: str, body: bytes = b"", first: bool = False
) -> SignedRequest:
    """A request that carries `signature` behind its query, or before it."""
    parts = [query, f"signature={signature.replace('=', '%3D')}"]
    return SignedRequest(method, path, "&".join(reversed(parts) if first else parts), body)


def test_version_2_covers_method_key_path_query_and_body() -> None:
    """Each of the five changed alone is refused."""
    made = "v2." + signed('POST\npub\n/v3/pam/sub/grant\na=1&timestamp=5\n{"ttl":1}').rstrip("=")
    good = request("POST", "/v3/pam/sub/grant", "timestamp=5&a=1", made, b'{"ttl":1}')
    assert genuine(good, KEYS)
    assert genuine(request("POST", good.path, "a=1&timestamp=5", made, good.body, first=True), KEYS)
    assert not genuine(request("GET", good.path, "timestamp=5&a=1", made, good.body), KEYS)
    assert not genuine(request("POST", "/v3/pam/sub2/grant", "timestamp=5&a=1", made, good.body), KEYS)
    assert not genuine(request("POST", good.path, "timestamp=6&a=1", made, good.body), KEYS)
    assert not genuine(request("POST", good.path, "timestamp=5&a=1", made, b"{}"), KEYS)
    assert not genuine(good, Keys("pub", "sub", "other"))
    assert not genuine(good, Keys("pub2", "sub", "sec"))


def test_the_query_is_sorted_and_strictly_encoded() -> None:
    """Also `~ ! * ' ( )` are escaped in the signed text, however they came."""
    made = "v2." + signed("GET\npub\n/p\na=%7E%21%2A%27%28%29%20%2B&b=x\n").rstrip("=")
    assert genuine(request("GET", "/p", "b=x&a=~!*'()%20%2B", made), KEYS)


def test_the_path_counts_as_sent_or_decoded() -> None:
    """Clients differ in when they percent-encode it."""
    for path in ("/x/a%20b", "/x/a b"):
        made = "v2." + signed(f"GET\npub\n{path}\nt=1\n").rstrip("=")
        assert genuine(request("GET", "/x/a%20b", "t=1", made), KEYS)


def test_publish_by_post_may_be_signed_the_way_either_client_does() -> None:
    """Python: version 1 with its padding. JavaScript: as a GET without body."""
    path = "/publish/pub/sub/0/c/0"
    assert genuine(request("POST", path, "t=1", signed(f"sub\npub\n{path}\nt=1"), b"1"), KEYS)
    javascript = "v2." + signed(f"GET\npub\n{path}\nt=1\n").rstrip("=")
    assert genuine(request("POST", path, "t=1", javascript, b"1"), KEYS)
    assert not genuine(request("POST", "/signal" + path, "t=1", javascript, b"1"), KEYS)
    assert not genuine(request("GET", path, "t=1", signed(f"sub\npub\n{path}\nt=1")), KEYS)


def test_a_request_without_signature_is_not_genuine() -> None:
    """Nor one with an empty or foreign one."""
    assert not genuine(SignedRequest("GET", "/p", "t=1"), KEYS)
    assert not genuine(request("GET", "/p", "t=1", ""), KEYS)
    assert not genuine(request("GET", "/p", "t=1", "%C3%A4"), KEYS)


@pytest.mark.parametrize(
    ("text", "good"),
    [("940", True), ("1060", True), ("939", False), ("1061", False), ("", False), ("x", False)],
)
def test_a_timestamp_may_be_sixty_seconds_off(text: str, good: bool) -> None:
    """By any of the clocks given."""
    assert timely(SignedRequest("GET", "/p", f"timestamp={text}"), 1000.0) is good
    assert timely(SignedRequest("GET", "/p", f"timestamp={text}"), 5.0, 1000.0) is good


def test_parameters_are_decoded() -> None:
    """A plus sign is a plus sign."""
    assert parameter(SignedRequest("GET", "/p", "a=%2Fx+y&b"), "a") == "/x+y"
    assert parameter(SignedRequest("GET", "/p", "a=1"), "b") is None
