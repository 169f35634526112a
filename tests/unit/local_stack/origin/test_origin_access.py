"""Rights by token: literals, patterns, the authorized uuid, expiry and revocation."""

from __future__ import annotations

import pytest

from local_stack.origin.access import Access, ExpiredError, Need, RevokedError, Right, pattern_error
from local_stack.origin.token import Claims, TokenError, encode

NOW = 1_700_000_000.0


def token(uuid: str | None = None, **bits: dict[str, int]) -> str:
    """A token of one minute; `patterns` are of channels."""
    patterns = bits.pop("patterns", {})
    return encode(Claims(int(NOW), 1, bits, {"chan": patterns}, {}, uuid), "sec")


def refused(auth: str | None, *needs: Need, uuid: str = "u1", now: float = NOW) -> list[Need]:
    """What a new `Access` rejects."""
    return Access().refused(auth, uuid, needs, "sec", now)


READ_C1 = Need("chan", "c1", Right.READ)
WRITE_C1 = Need("chan", "c1", Right.WRITE)


def test_a_literal_grant_gives_exactly_its_bits() -> None:
    """Read is not write, and one channel is not another."""
    auth = token(chan={"c1": 1})
    assert refused(auth, READ_C1) == []
    assert refused(auth, READ_C1, WRITE_C1) == [WRITE_C1]
    assert refused(auth, Need("grp", "c1", Right.READ)) != []


def test_presence_needs_its_own_grant() -> None:
    """Nothing cascades from a channel to its presence channel."""
    assert refused(token(chan={"c1": 1}), Need("chan", "c1-pnpres", Right.READ)) != []


def test_a_pattern_gives_its_bits_to_every_name_it_matches() -> None:
    """A regular expression, anchored only where it says so."""
    auth = token(patterns={"^presence\\.shard-[0-9]+$": 1})
    assert refused(auth, Need("chan", "presence.shard-12", Right.READ)) == []
    assert refused(auth, Need("chan", "presence.shard-x", Right.READ)) != []
    assert refused(auth, Need("chan", "a.presence.shard-1", Right.READ)) != []


def test_a_token_for_one_uuid_is_of_no_use_to_another() -> None:
    """The authorized uuid must be the caller's."""
    auth = token("u1", chan={"c1": 1})
    assert refused(auth, READ_C1, uuid="u1") == []
    assert refused(auth, READ_C1, uuid="u2") == [READ_C1]


@pytest.mark.parametrize("auth", [None, "", "my-auth-key", token(chan={"c1": 1})[:-8]])
def test_without_a_token_everything_is_refused(auth: str | None) -> None:
    """Denied by default; an operation without needs is allowed."""
    assert refused(auth, READ_C1) == [READ_C1]
    assert refused(auth) == []


def test_a_token_expires() -> None:
    """One minute after it was granted."""
    auth = token(chan={"c1": 1})
    assert refused(auth, READ_C1, now=NOW + 59) == []
    with pytest.raises(ExpiredError):
        refused(auth, READ_C1, now=NOW + 60)


def test_a_revoked_token_is_refused_when_the_delay_is_over() -> None:
    """With or without padding; the real service takes up to a minute."""
    access, auth = Access(revocation_delay_s=30), token(chan={"c1": 1})
    access.revoke(auth.rstrip("="), "sec", NOW)
    assert access.refused(auth, "u1", [READ_C1], "sec", NOW + 29) == []
    with pytest.raises(RevokedError):
        access.refused(auth, "u1", [READ_C1], "sec", NOW + 30)


def test_only_a_living_token_can_be_revoked() -> None:
    """An expired one and noise are rejected, with different errors."""
    with pytest.raises(ExpiredError):
        Access().revoke(token(chan={"c1": 1}), "sec", NOW + 60)
    with pytest.raises(TokenError):
        Access().revoke("noise", "sec", NOW)


def test_a_pattern_that_is_no_regular_expression_is_explained() -> None:
    assert pattern_error("^a+$") is None
    assert pattern_error("(") is not None
