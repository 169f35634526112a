"""Access Manager tokens: encoding, signature, expiry."""

from __future__ import annotations

import base64
import contextlib

import cbor2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from local_stack.origin.token import KINDS, Claims, TokenError, decode, encode

CLAIMS = Claims(
    issued=1_700_000_000,
    ttl=60,
    resources={"chan": {"inbox.u1": 1}},
    patterns={"chan": {"^presence\\.": 1}},
    meta={"a": 1},
    uuid="u1",
)
BITS = st.dictionaries(
    st.sampled_from(list(KINDS.values())),
    st.dictionaries(st.text(min_size=1), st.integers(0, 255), max_size=3),
)
SCALARS = st.one_of(st.text(), st.integers(), st.booleans(), st.floats(allow_nan=False))


def test_a_token_is_padded_base64url_of_cbor_with_byte_string_keys() -> None:
    """The form that clients decode; the Python client does not add padding."""
    token = encode(CLAIMS, "sec")
    body = cbor2.loads(base64.b64decode(token, b"-_", validate=True))
    assert list(body) == [b"v", b"t", b"ttl", b"res", b"pat", b"meta", b"uuid", b"sig"]
    assert body[b"v"] == 2
    assert body[b"res"] == {b"chan": {"inbox.u1": 1}, b"grp": {}, b"spc": {}, b"usr": {}, b"uuid": {}}
    assert len(body[b"sig"]) == 32
    assert token.startswith("qEF2AkF0Gm")


@given(BITS, BITS, st.dictionaries(st.text(), SCALARS, max_size=3), st.none() | st.text())
def test_what_is_written_is_what_is_read(
    resources: dict[str, dict[str, int]],
    patterns: dict[str, dict[str, int]],
    meta: dict[str, object],
    uuid: str | None,
) -> None:
    """Any claims survive the round trip, with all five kinds present afterwards."""
    back = decode(encode(Claims(1, 2, resources, patterns, meta, uuid), "sec"), "sec")
    empty: dict[str, dict[str, int]] = {kind: {} for kind in KINDS.values()}
    assert back == Claims(1, 2, {**empty, **resources}, {**empty, **patterns}, meta, uuid)


@given(st.integers(0, 10_000), st.integers(1, 255))
def test_a_changed_token_is_refused(place: int, change: int) -> None:
    """With any byte changed it is rejected, or has the same claims."""
    raw = bytearray(base64.urlsafe_b64decode(encode(CLAIMS, "sec")))
    raw[place % len(raw)] ^= change
    with contextlib.suppress(TokenError):
        assert decode(base64.urlsafe_b64encode(raw).decode(), "sec") == decode(encode(CLAIMS, "sec"), "sec")


@given(st.binary(max_size=60))
def test_no_bytes_break_the_reader(raw: bytes) -> None:
    with pytest.raises(TokenError):
        decode(base64.urlsafe_b64encode(raw).decode(), "sec")


@pytest.mark.parametrize("text", ["", "my-auth-key", "ä", "=", "qEF2", "A" * 100_000])
def test_other_texts_are_no_tokens(text: str) -> None:
    with pytest.raises(TokenError):
        decode(text, "sec")


def test_a_token_of_another_secret_is_refused() -> None:
    """The signature is what makes it a token of this keyset."""
    with pytest.raises(TokenError):
        decode(encode(CLAIMS, "other"), "sec")


def test_a_token_without_padding_is_the_same_token() -> None:
    token = encode(CLAIMS, "sec")
    assert decode(token.rstrip("="), "sec") == decode(token, "sec")


def test_a_token_ends_with_its_last_second() -> None:
    """`ttl` counts minutes."""
    assert not CLAIMS.expired(CLAIMS.issued + 3599.9)
    assert CLAIMS.expired(CLAIMS.issued + 3600)
