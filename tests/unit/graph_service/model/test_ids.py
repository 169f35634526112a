"""Which user ids are accepted."""

from __future__ import annotations

import json
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from graph_service.model import ids

REFUSED = {
    "": "is empty",
    "a" * 85: "limit is 84",
    "a b": "a space",
    "a,b": "','",
    "a/b": "'/'",
    "a\\b": "contains '\\'",
    "a*b": "'*'",
    "a:b": "':'",
    "a\x00b": "U+0000",
    "a\u2028b": "U+2028",
    "a\ud800": "U+D800",
    "ann-pnpres": "-pnpres",
    ".": "path",
    "..": "path",
}


@pytest.mark.parametrize(
    "user", ["ann", "a" * 84, "ann.b", "ünï", "a-pnpres-b", "550e8400-e29b-41d4-a716-446655440000"]
)
def test_an_id_that_fits_a_channel_name_is_accepted(user: str) -> None:
    """Characters of any script, dots, dashes, up to 84 in all."""
    assert ids.check(user) == user


@pytest.mark.parametrize("user", REFUSED)
def test_a_refused_id_is_reported_by_field_and_reason(user: str) -> None:
    """Each rule of PubNub's channel names, and the path segments that URLs resolve."""
    with pytest.raises(ids.BadId) as refusal:
        ids.check(user, "friend")
    assert str(refusal.value).startswith("friend: ")
    assert REFUSED[user] in str(refusal.value)
    assert (refusal.value.code, refusal.value.status) == ("bad_id", 400)


@given(st.text(max_size=100))
def test_the_pattern_of_the_document_accepts_what_the_rule_accepts(user: str) -> None:
    """Nothing that the rule accepts is refused by the document; the rule knows some more invisible characters."""
    by_document = len(user) <= ids.MAX_ID_CHARACTERS and re.search(ids.PATTERN, user) is not None
    assert by_document or ids.why_not(user) is not None


@given(
    st.text(alphabet=st.characters(codec="utf-8"), min_size=1, max_size=84).filter(
        lambda user: ids.why_not(user) is None
    )
)
def test_an_accepted_id_always_fits_the_longest_channel_name(user: str) -> None:
    """`friends.` and the id are at most 92 characters and hold nothing reserved."""
    channel = f"friends.{user}"
    assert len(channel) <= 92
    assert not channel.endswith("-pnpres")
    assert not set(channel) & set(",/\\*: \t\n\x00")


def test_a_model_refuses_ids_by_the_same_rule() -> None:
    """In a body too, and with a reason that names the limit."""
    adapter: TypeAdapter[str] = TypeAdapter(ids.UserId)
    with pytest.raises(ValidationError, match="limit is 84"):
        adapter.validate_json(json.dumps("a" * 85))
