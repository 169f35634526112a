"""Who is calling: products' tokens and service keys. Knows JWT and keys; knows no route and no limits.

A token is accepted when its signature is by our HS256 secret, or by an RS256 or ES256 key of the issuer's published
set, and never by the algorithm that the token itself asks for: ``none``, and an RSA key used as an HMAC secret, are
refused by the list of algorithms, which follows from the options alone. ``exp`` and ``sub`` must be there; audience
and issuer are checked when set (production refuses to start without).
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Sequence
from typing import Any, Protocol

import jwt

from graph_service.api.jwks import JwksCache
from graph_service.errors import SetupError, Unauthorized
from graph_service.model import ids
from graph_service.settings import Settings

JWT_LEEWAY_SECONDS = 10.0
"""Clock skew allowed between the issuer and us."""
MAX_TOKEN_BYTES = 8192
"""Characters. Larger ones are refused before anything of them is decoded."""

SAID: dict[type[jwt.PyJWTError], str] = {
    jwt.ExpiredSignatureError: "the token has expired",
    jwt.ImmatureSignatureError: "the token is not valid yet",
    jwt.InvalidAudienceError: "the token is for another audience",
    jwt.InvalidIssuerError: "the token is from another issuer",
    jwt.InvalidAlgorithmError: "the token's algorithm is not accepted here",
    jwt.InvalidSignatureError: "the token's signature is wrong",
}
"""What the caller is told of a refused token: enough to correct it, nothing that helps to guess."""


class Keys(Protocol):
    """Where the key of a token comes from. `Secret` for one shared key, `Published` for an issuer's key set."""

    @property
    def algorithms(self) -> Sequence[str]:
        """The only ones accepted."""

    async def key(self, token: str) -> Any:
        """The key for this token; raises `Unauthorized` when there is none, and PyJWT's errors."""


class Secret:
    """One HS256 key, shared with the products' backend."""

    algorithms = ("HS256",)

    def __init__(self, secret: str) -> None:
        self._secret = secret

    async def key(self, token: str) -> str:
        """The key, whatever the token says."""
        return self._secret


class Published:
    """The issuer's key set, fetched and rotated by `JwksCache`."""

    algorithms = ("RS256", "ES256")

    def __init__(self, keys: JwksCache) -> None:
        self._keys = keys

    async def key(self, token: str) -> Any:
        """The key that the token names, which must be of the token's algorithm."""
        header = jwt.get_unverified_header(token)
        found = await self._keys.find(header.get("kid"))
        if found is None:
            raise Unauthorized(reason="the token is signed with an unknown key")
        if found.algorithm_name != header.get("alg"):
            raise Unauthorized(reason="the token's algorithm is not that of its key")
        return found.key


class Verifier:
    """Turns a token into the id of the user who calls."""

    def __init__(self, keys: Keys, settings: Settings) -> None:
        self._keys = keys
        self._rules: dict[str, Any] = {
            "algorithms": list(keys.algorithms),
            "audience": settings.jwt_audience,
            "issuer": settings.jwt_issuer,
            "leeway": JWT_LEEWAY_SECONDS,
            "options": {"require": ["exp", "sub"], "verify_aud": settings.jwt_audience is not None},
        }

    async def user(self, token: str) -> str:
        """The token's subject, a valid user id; raises `Unauthorized` with the reason."""
        if len(token) > MAX_TOKEN_BYTES:
            raise Unauthorized(reason=f"the token is longer than {MAX_TOKEN_BYTES} characters")
        try:
            claims = jwt.decode(token, await self._keys.key(token), **self._rules)
        except jwt.PyJWTError as error:
            raise Unauthorized(reason=_said(error)) from None
        if wrong := ids.why_not(claims["sub"]):
            raise Unauthorized(reason=f"the token's subject is no user id: it {wrong}")
        return str(claims["sub"])


def verifier(settings: Settings, keys: JwksCache | None) -> Verifier:
    """The verifier that the options ask for; `keys` is needed with JWT_JWKS_URL. Raises `SetupError` for neither."""
    if settings.jwt_secret:
        return Verifier(Secret(settings.jwt_secret.get_secret_value()), settings)
    if keys:
        return Verifier(Published(keys), settings)
    raise SetupError(what="JWT_SECRET or JWT_JWKS_URL must be set", todo="Set the option and start again")


def bearer(header: str | None) -> str:
    """The token of an Authorization header; raises `Unauthorized` when there is none."""
    kind, _, token = (header or "").partition(" ")
    if kind.lower() != "bearer" or not token.strip():
        raise Unauthorized(reason="there is no token")
    return token.strip()


def same_key(given: str | None, accepted: Sequence[str]) -> bool:
    """Whether a key is one of those accepted, in a time that depends on neither."""
    digest = _digest(given or "")
    matches = [hmac.compare_digest(digest, _digest(one)) for one in accepted]
    return given is not None and any(matches)


def _digest(key: str) -> bytes:
    return hashlib.sha256(key.encode(errors="surrogateescape")).digest()


def _said(error: jwt.PyJWTError) -> str:
    if isinstance(error, jwt.MissingRequiredClaimError):
        return f"the token has no '{error.claim}'"
    return SAID.get(type(error), "the token cannot be read")
