"""A token is accepted as the settings say, and refused in every other shape."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import time
from collections.abc import Mapping
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from graph_service.api.authentication import MAX_TOKEN_CHARACTERS, bearer, same_key, verifier
from graph_service.api.dev_tokens import mint
from graph_service.api.jwks import (
    FRESH_SECONDS,
    RETRY_SECONDS,
    STALE_SECONDS,
    JwksCache,
    KeysUnavailable,
    usable,
)
from graph_service.errors import SetupError, Unauthorized
from tests.support.serving import SECRET, options

RSA = rsa.generate_private_key(65537, 2048)
SMALL_RSA = rsa.generate_private_key(65537, 1024)
EC = ec.generate_private_key(ec.SECP256R1())
OTHER_RSA = rsa.generate_private_key(65537, 2048)
SETTINGS = options(jwt_audience="app", jwt_issuer="https://issuer.example")


def claims(**more: Any) -> dict[str, Any]:
    """Those of a good token, with changes; None leaves one out."""
    now = int(time.time())
    good = {"sub": "ann", "aud": "app", "iss": "https://issuer.example", "iat": now, "exp": now + 60}
    return {name: value for name, value in (good | more).items() if value is not None}


def public(key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey, kid: str, **more: str) -> dict[str, Any]:
    """A key as an issuer publishes it."""
    kind = jwt.algorithms.RSAAlgorithm if isinstance(key, rsa.RSAPrivateKey) else jwt.algorithms.ECAlgorithm
    return {**json.loads(kind.to_jwk(key.public_key())), "kid": kid, **more}


def pem(key: rsa.RSAPrivateKey) -> bytes:
    """The public half, which any caller may have."""
    return key.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )


def part(value: Mapping[str, Any]) -> str:
    """One part of a token."""
    return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()


def forged_with_public_key() -> str:
    """HS256 'signed' with the RSA public key: the classic confusion. Built by hand, PyJWT refuses to make it."""
    signed = f"{part({'alg': 'HS256', 'typ': 'JWT', 'kid': 'r1'})}.{part(claims())}"
    mac = hmac.new(pem(RSA), signed.encode(), hashlib.sha256).digest()
    return f"{signed}.{base64.urlsafe_b64encode(mac).rstrip(b'=').decode()}"


class Issuer:
    """A key set that can be changed, and counts its fetches."""

    def __init__(self, *keys: dict[str, Any]) -> None:
        self.keys = list(keys)
        self.fetches = 0
        self.down = False
        self.now = 0.0

    async def fetch(self) -> Mapping[str, Any]:
        """The set, or the failure."""
        self.fetches += 1
        if self.down:
            raise OSError("no route")
        return {"keys": self.keys}

    def published(self) -> JwksCache:
        """As the verifier uses it, on a hand-moved clock."""
        return JwksCache(fetch=self.fetch, clock=lambda: self.now)


def issued(key: Any, algorithm: str, kid: str | None = "r1", **more: Any) -> str:
    """A token by the issuer."""
    return jwt.encode(claims(**more), key, algorithm=algorithm, headers={"kid": kid} if kid else {})


async def test_a_good_token_gives_its_subject() -> None:
    """HS256 by secret."""
    assert await verifier(SETTINGS, None).user(jwt.encode(claims(), SECRET)) == "ann"
    assert await verifier(SETTINGS, None).user(mint(SETTINGS, "ben", time.time())) == "ben"


BAD_CLAIMS: list[tuple[dict[str, Any], str]] = [
    ({"exp": int(time.time()) - 3600}, "expired"),
    ({"exp": None}, "no 'exp'"),
    ({"sub": None}, "no 'sub'"),
    ({"sub": ""}, "no user id"),
    ({"sub": "a b"}, "no user id"),
    ({"sub": "a" * 85}, "no user id"),
    ({"aud": "another"}, "another audience"),
    ({"aud": None}, "no 'aud'"),
    ({"iss": "https://evil.example"}, "another issuer"),
    ({"iss": None}, "no 'iss'"),
    ({"nbf": int(time.time()) + 3600}, "not valid yet"),
    ({"exp": "soon"}, "cannot be read"),
]


@pytest.mark.parametrize(("changed", "reason"), BAD_CLAIMS)
async def test_wrong_claims_are_refused_with_the_reason(changed: dict[str, Any], reason: str) -> None:
    """Each claim that is checked."""
    with pytest.raises(Unauthorized, match=reason):
        await verifier(SETTINGS, None).user(jwt.encode(claims(**changed), SECRET))


async def test_clock_skew_of_ten_seconds_is_allowed_and_no_more() -> None:
    just_expired = jwt.encode(claims(exp=int(time.time()) - 5), SECRET)
    assert await verifier(SETTINGS, None).user(just_expired) == "ann"
    with pytest.raises(Unauthorized, match="expired"):
        await verifier(SETTINGS, None).user(jwt.encode(claims(exp=int(time.time()) - 15), SECRET))


BAD_TOKENS = {
    "none": f"{part({'alg': 'none'})}.{part(claims())}.",
    "none with a signature": f"{part({'alg': 'none'})}.{part(claims())}.AAAA",
    "another secret": jwt.encode(claims(), "b" * 40),
    "another hash": jwt.encode(claims(), SECRET, algorithm="HS512"),
    "asymmetric": jwt.encode(claims(), RSA, algorithm="RS256"),
    "no dots": "nonsense",
    "empty parts": "..",
    "not base64": "a.b.c",
    "not JSON": f"{base64.urlsafe_b64encode(b'[').decode()}.{part(claims())}.AAAA",
    "critical extension": jwt.encode(claims(), SECRET, headers={"crit": ["x"], "x": 1}),
    "cut": jwt.encode(claims(), SECRET)[:-2],
    "huge": jwt.encode(claims(more="x" * MAX_TOKEN_CHARACTERS), SECRET),
    "not ASCII": "é.é.é",
}


@pytest.mark.parametrize("kind", BAD_TOKENS)
async def test_a_token_of_each_wrong_kind_is_refused(kind: str) -> None:
    """Never an error of ours, always the same class."""
    with pytest.raises(Unauthorized):
        await verifier(SETTINGS, None).user(BAD_TOKENS[kind])


async def test_published_keys_verify_rs256_and_es256() -> None:
    """By key id, or without one when there is only one key."""
    only = options(jwt_secret=None, jwt_audience="app", jwt_issuer="https://issuer.example")
    both = verifier(only, Issuer(public(RSA, "r1"), public(EC, "e1")).published())
    assert await both.user(issued(RSA, "RS256")) == "ann"
    assert await both.user(issued(EC, "ES256", "e1")) == "ann"
    one = verifier(only, Issuer(public(RSA, "r1")).published())
    assert await one.user(issued(RSA, "RS256", kid=None)) == "ann"


WRONG_KEYS = {
    "confused": forged_with_public_key,
    "unknown key id": lambda: issued(OTHER_RSA, "RS256", "r2"),
    "another's signature": lambda: issued(OTHER_RSA, "RS256", "r1"),
    "algorithm of another key": lambda: issued(EC, "ES256", "r1"),
    "another hash": lambda: issued(RSA, "RS512", "r1"),
    "no key id with two keys": lambda: issued(RSA, "RS256", None),
    "the shared secret": lambda: jwt.encode(claims(), SECRET, headers={"kid": "o1"}),
    "a key for encryption": lambda: issued(OTHER_RSA, "RS256", "x1"),
}


@pytest.mark.parametrize("kind", WRONG_KEYS)
async def test_a_token_by_a_wrong_key_is_refused(kind: str) -> None:
    """Among them the RSA public key used as an HMAC secret, and a symmetric key in the published set."""
    symmetric = {"kty": "oct", "kid": "o1", "k": base64.urlsafe_b64encode(SECRET.encode()).decode()}
    issuer = Issuer(public(RSA, "r1"), public(EC, "e1"), symmetric, public(OTHER_RSA, "x1", use="enc"))
    only = options(jwt_secret=None, jwt_audience="app", jwt_issuer="https://issuer.example")
    with pytest.raises(Unauthorized):
        await verifier(only, issuer.published()).user(WRONG_KEYS[kind]())


def test_keys_that_are_weak_or_strange_are_left_out_of_a_set() -> None:
    """The rest of the set stays usable."""
    strange: list[Any] = [{"kty": "new"}, {}, 7, None, {"kty": "RSA", "n": "!", "e": "AQAB"}]
    found = usable({"keys": [public(SMALL_RSA, "small"), *strange, public(RSA, "good")]})
    assert list(found) == ["good"]


async def test_a_new_key_is_found_at_its_first_token_and_invented_ids_fetch_once() -> None:
    """One fetch in `RETRY_SECONDS`, whatever callers send."""
    issuer = Issuer(public(RSA, "r1"))
    keys = issuer.published()
    assert await keys.find("r1")
    issuer.keys.append(public(EC, "e1"))
    issuer.now += RETRY_SECONDS + 1
    assert await keys.find("e1")
    for invented in range(50):
        assert await keys.find(f"k{invented}") is None
    assert issuer.fetches == 2


async def test_a_key_taken_out_of_the_set_is_gone_after_the_next_fetch() -> None:
    """The fetch runs in the background; the call that found the set old does not wait."""
    issuer = Issuer(public(RSA, "r1"), public(EC, "e1"))
    keys = issuer.published()
    assert await keys.find("r1")
    issuer.keys.pop(0)
    issuer.now += FRESH_SECONDS + 1
    assert await keys.find("r1"), "served from the old set, without waiting"
    await keys.wait_for_fetch()
    assert await keys.find("r1") is None


async def test_known_keys_stay_valid_for_a_day_while_the_issuer_does_not_respond() -> None:
    """After that every token is refused with 503: the failure is ours."""
    issuer = Issuer(public(RSA, "r1"))
    keys = issuer.published()
    assert await keys.find("r1")
    issuer.down = True
    issuer.now += STALE_SECONDS - 1
    assert await keys.find("r1")
    await keys.wait_for_fetch()
    issuer.now += RETRY_SECONDS + 2
    with pytest.raises(KeysUnavailable):
        await keys.find("r1")


async def test_an_issuer_that_never_responded_is_unavailable_not_unauthorized() -> None:
    """The caller's token may be good; the set is fetched again after `RETRY_SECONDS`."""
    issuer = Issuer(public(RSA, "r1"))
    issuer.down = True
    keys = issuer.published()
    for _ in range(3):
        with pytest.raises(KeysUnavailable):
            await keys.find("r1")
    assert issuer.fetches == 1
    issuer.down = False
    issuer.now += RETRY_SECONDS + 1
    assert await keys.find("r1")


@pytest.mark.parametrize("header", [None, "", "Bearer", "Bearer ", "Basic abc", "abc"])
def test_a_header_without_a_token_is_refused(header: str | None) -> None:
    """With 'there is no token'."""
    with pytest.raises(Unauthorized, match="there is no token"):
        bearer(header)


def test_keys_are_compared_whole() -> None:
    """Either of two is accepted during a rotation; a missing or empty key never is."""
    assert same_key("new", ["new", "old"])
    assert same_key("old", ["new", "old"])
    assert not any(same_key(key, ["new", "old"]) for key in ("ne", "newer", "", None, "é"))
    assert not same_key(None, [""])


def test_tokens_are_not_minted_in_production() -> None:
    """Nor without a secret, nor for an id that is refused."""
    production = options(environment="production", jwt_audience="app", jwt_issuer="us")
    with pytest.raises(SetupError, match="ENVIRONMENT"):
        mint(production, "ann", 0)
    with pytest.raises(SetupError, match="JWT_SECRET"):
        mint(options(jwt_secret=None), "ann", 0)
    with pytest.raises(Exception, match="a space"):
        mint(SETTINGS, "a b", 0)


def test_an_api_without_any_key_for_tokens_is_not_made() -> None:
    """Deny by default."""
    with pytest.raises(SetupError, match="JWT_SECRET or JWT_JWKS_URL"):
        verifier(options(jwt_secret=None), None)
