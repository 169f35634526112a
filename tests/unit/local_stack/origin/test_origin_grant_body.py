"""Grants: what is accepted, what is rejected and with which text; strict JSON below it."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from local_stack.origin import strict_json
from local_stack.origin.access import Access
from local_stack.origin.grant_body import GrantError, claims_of
from local_stack.origin.operations import needs
from local_stack.origin.token import decode, encode

GOOD: dict[str, Any] = {
    "ttl": 60,
    "permissions": {
        "resources": {
            "channels": {"inbox.u1": 1},
            "groups": {},
            "uuids": {"u1": 104},
            "users": {},
            "spaces": {},
        },
        "patterns": {"channels": {"^presence\\.shard-[0-9]+$": 1}, "groups": {}},
        "categories": {"uuids": 32},
        "meta": {"a": 1},
        "uuid": "u1",
    },
}


def grant(**changes: Any) -> Any:
    """The claims of the good grant with some permissions changed."""
    return claims_of(json.dumps({**GOOD, "permissions": {**GOOD["permissions"], **changes}}).encode(), 7)


def test_a_grant_becomes_the_claims_of_its_token() -> None:
    """Every member is in the claims and in the token."""
    claims = grant()
    assert (claims.issued, claims.ttl, claims.uuid, claims.meta) == (7, 60, "u1", {"a": 1})
    assert claims.resources["chan"] == {"inbox.u1": 1}
    assert claims.resources["uuid"] == {"u1": 104}
    assert claims.patterns["chan"] == {"^presence\\.shard-[0-9]+$": 1}
    assert decode(encode(claims, "sec"), "sec") == claims


@pytest.mark.parametrize("ttl", [0, -1, 43_201, 1.5, "60", None, True, 10**30])
def test_a_ttl_out_of_range_is_refused_in_the_recorded_words(ttl: Any) -> None:
    """1 to 43,200 minutes."""
    with pytest.raises(GrantError) as refusal:
        claims_of(json.dumps({**GOOD, "ttl": ttl}).encode(), 7)
    assert (refusal.value.message, refusal.value.detail, refusal.value.location) == (
        "Invalid ttl",
        "Range should be 1 to 43200 minute(s).",
        "ttl",
    )


@pytest.mark.parametrize(
    ("changes", "location"),
    [
        ({"resources": []}, "permissions.resources"),
        ({"resources": {"channels": 5}}, "permissions.resources.channels"),
        ({"resources": {"channels": {"c": 256}}}, "permissions.resources.channels.c"),
        ({"resources": {"channels": {"c": -1}}}, "permissions.resources.channels.c"),
        ({"resources": {"channels": {"c": True}}}, "permissions.resources.channels.c"),
        ({"patterns": {"channels": {"(": 1}}}, "permissions.patterns.channels.("),
        ({"meta": "x"}, "permissions.meta"),
        ({"uuid": 5}, "permissions.uuid"),
        ({"categories": {"uuids": "x"}}, "permissions.categories.uuids"),
        ({"resources": {}, "patterns": {}, "categories": {}}, "permissions"),
    ],
)
def test_a_grant_that_cannot_be_given_says_where(changes: dict[str, Any], location: str) -> None:
    """By the path of the member."""
    with pytest.raises(GrantError) as refusal:
        grant(**changes)
    assert refusal.value.location == location


@pytest.mark.parametrize("body", [b"", b"[]", b"{", b"x" * 40_000, b'{"ttl": 1e999}', b'{"a":"\\ud800"}'])
def test_a_body_that_is_no_grant_is_refused(body: bytes) -> None:
    with pytest.raises(GrantError):
        claims_of(body, 7)


def test_a_grant_without_anything_in_it_is_refused() -> None:
    with pytest.raises(GrantError, match=r"^This grant contains no permissions$"):
        claims_of(b'{"ttl": 5}', 7)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@given(
    st.dictionaries(
        st.sampled_from(["ttl", "permissions", "resources", "channels", "meta"]), JSON, max_size=3
    ),
    JSON,
)
def test_no_document_breaks_the_reader(document: dict[str, Any], permissions: Any) -> None:
    """A grant or a rejection, nothing else; every grant can be encoded as a token."""
    try:
        claims = claims_of(json.dumps({"ttl": 1, "permissions": permissions, **document}).encode(), 7)
    except GrantError:
        return
    assert encode(claims, "sec")


@given(JSON)
def test_strict_json_reads_whatever_python_writes(value: Any) -> None:
    """All finite values, escaped or not."""
    assert strict_json.loads(json.dumps(value)) == value
    assert strict_json.loads(json.dumps(value, ensure_ascii=False).encode("utf-8", "replace")) is not ...


@pytest.mark.parametrize(
    "text", ["NaN", "[Infinity]", "-Infinity", "1e400", '"\\ud800"', "[" * 100_000, "", "{'a':1}"]
)
def test_strict_json_refuses_what_is_not_json(text: str) -> None:
    """As one kind of error, from text and from bytes."""
    with pytest.raises(strict_json.NotJsonError):
        strict_json.loads(text)
    with pytest.raises(strict_json.NotJsonError):
        strict_json.loads(text.encode())


def test_a_list_over_everything_needs_the_category() -> None:
    """A grant on single users does not list them all."""
    wanted = needs("list_users")
    token = encode(grant(), "sec")
    assert Access().refused(token, "u1", wanted, "sec", 8) == []
    token = encode(grant(categories={}), "sec")
    assert Access().refused(token, "u1", wanted, "sec", 8) == wanted
