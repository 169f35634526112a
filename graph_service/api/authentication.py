"""Authenticate callers: users by a token, the back end by the service key, operators by the console's key.

A token is accepted when its signature is by our HS256 secret, or by an RS256 or ES256 key of the issuer's published
set (`jwks.py`), and never by the algorithm that the token itself asks for: ``none``, and an RSA key used as an HMAC
secret, are refused by the list of algorithms, which follows from the options alone. ``exp`` and ``sub`` must be
there; audience and issuer are checked when set (production refuses to start without).

Every request is counted (`rate_limits.py`). One without a valid token or key counts against its address, before it
is refused; one that has one counts against its caller alone, so users behind one address do not share a limit.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import jwt
import structlog
from aiohttp import web

from graph_service import metrics
from graph_service.api import client_address
from graph_service.api.jwks import JwksCache, KeysUnavailable
from graph_service.api.rate_limits import RateLimits
from graph_service.api.routing import Scheme
from graph_service.errors import FriendsError, RateLimited, SetupError, Unauthorized
from graph_service.model import ids
from graph_service.settings import Settings

JWT_LEEWAY_SECONDS = 10.0
"""Clock skew allowed between the issuer and us."""
MAX_TOKEN_CHARACTERS = 8192
"""Longer tokens are refused before anything of them is decoded."""

REFUSALS: dict[type[jwt.PyJWTError], str] = {
    jwt.ExpiredSignatureError: "the token has expired",
    jwt.ImmatureSignatureError: "the token is not valid yet",
    jwt.InvalidAudienceError: "the token is for another audience",
    jwt.InvalidIssuerError: "the token is from another issuer",
    jwt.InvalidAlgorithmError: "the token's algorithm is not accepted here",
    jwt.InvalidSignatureError: "the token's signature is wrong",
}
"""The reason in the response: enough to correct a token, nothing that helps to guess one."""


class Keys(Protocol):
    """Where the key of a token comes from: `SharedSecret` or `PublishedKeys`."""

    @property
    def algorithms(self) -> Sequence[str]:
        """The only algorithms accepted."""

    async def key(self, token: str) -> Any:
        """The key for this token. Raises `Unauthorized` when there is none, and PyJWT's errors."""


class SharedSecret:
    """One HS256 key, shared with the product's back end."""

    algorithms = ("HS256",)

    def __init__(self, *, secret: str) -> None:
        self._secret = secret

    async def key(self, token: str) -> str:
        """The key, whatever the token says."""
        return self._secret


class PublishedKeys:
    """The issuer's key set, fetched and rotated by `JwksCache`."""

    algorithms = ("RS256", "ES256")

    def __init__(self, *, keys: JwksCache) -> None:
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
    """Verifies tokens: token in, user id out."""

    def __init__(self, *, keys: Keys, settings: Settings) -> None:
        self._keys = keys
        self._rules: dict[str, Any] = {
            "algorithms": list(keys.algorithms),
            "audience": settings.jwt_audience,
            "issuer": settings.jwt_issuer,
            "leeway": JWT_LEEWAY_SECONDS,
            "options": {"require": ["exp", "sub"], "verify_aud": settings.jwt_audience is not None},
        }

    async def user(self, token: str) -> str:
        """The token's subject, a valid user id. Raises `Unauthorized` with the reason."""
        if len(token) > MAX_TOKEN_CHARACTERS:
            raise Unauthorized(reason=f"the token is longer than {MAX_TOKEN_CHARACTERS} characters")
        try:
            claims = jwt.decode(token, await self._keys.key(token), **self._rules)
        except jwt.PyJWTError as error:
            raise Unauthorized(reason=_refusal(error)) from None
        if wrong := ids.why_not(claims["sub"]):
            raise Unauthorized(reason=f"the token's subject is no user id: it {wrong}")
        return str(claims["sub"])


def verifier(settings: Settings, keys: JwksCache | None) -> Verifier:
    """The verifier for these settings; `keys` is needed with JWT_JWKS_URL. Raises `SetupError` with neither key."""
    if settings.jwt_secret:
        return Verifier(keys=SharedSecret(secret=settings.jwt_secret.get_secret_value()), settings=settings)
    if keys:
        return Verifier(keys=PublishedKeys(keys=keys), settings=settings)
    raise SetupError(what="JWT_SECRET or JWT_JWKS_URL must be set", todo="Set the option and start again")


def bearer(header: str | None) -> str:
    """The token of an Authorization header. Raises `Unauthorized` when there is none."""
    kind, _, token = (header or "").partition(" ")
    if kind.lower() != "bearer" or not token.strip():
        raise Unauthorized(reason="there is no token")
    return token.strip()


def same_key(key: str | None, accepted: Sequence[str]) -> bool:
    """Whether a key is one of those accepted, in constant time."""
    digest = _digest(key or "")
    matches = [hmac.compare_digest(digest, _digest(one)) for one in accepted]
    return key is not None and any(matches)


def _digest(key: str) -> bytes:
    return hashlib.sha256(key.encode(errors="surrogateescape")).digest()


def _refusal(error: jwt.PyJWTError) -> str:
    if isinstance(error, jwt.MissingRequiredClaimError):
        return f"the token has no '{error.claim}'"
    return REFUSALS.get(type(error), "the token cannot be read")


class KeyRefused(Unauthorized):
    """The key in {header} is missing or wrong."""

    code = "key_refused"


class Closed(FriendsError):
    """This route is closed: {option} is not set."""

    code = "closed"
    status = 403


@dataclass(frozen=True, slots=True)
class Caller:
    """A user: the token's subject."""

    id: str


@dataclass(frozen=True, slots=True)
class Service:
    """The product's back end, authenticated by the service key."""


@dataclass(frozen=True, slots=True)
class Operator:
    """An operator at the console, authenticated by the console's key."""


@dataclass(frozen=True, slots=True)
class Anyone:
    """An unauthenticated caller of a public route."""


@dataclass(frozen=True, kw_only=True)
class Authenticator:
    """How tokens are verified, which keys are accepted, and where requests are counted."""

    verifier: Verifier
    limits: RateLimits
    trusted: Sequence[client_address.Network]
    service_keys: Sequence[str]
    console_keys: Sequence[str]

    async def refuse(self, request: web.Request, error: Unauthorized) -> None:
        """Count a failed attempt against its address. Always raises: `RateLimited`, or the error itself."""
        metrics.REFUSED.inc()
        forwarded = request.headers.getall("X-Forwarded-For", ())
        address = client_address.client(request.remote or "", forwarded, self.trusted)
        await self.limits.count("address", client_address.bucket(address))
        raise error


AUTHENTICATOR = web.AppKey("authenticator", Authenticator)


def build_authenticator(settings: Settings, verifier: Verifier, limits: RateLimits) -> Authenticator:
    """The authenticator for these settings."""
    service = (settings.service_key, settings.service_key_previous)
    return Authenticator(
        verifier=verifier,
        limits=limits,
        trusted=client_address.networks(settings.trusted_proxies),
        service_keys=[key.get_secret_value() for key in service if key],
        console_keys=[settings.console_key.get_secret_value()] if settings.console_key else [],
    )


async def _user(request: web.Request) -> Caller:
    """The caller by Authorization: Bearer."""
    authenticator = request.app[AUTHENTICATOR]
    try:
        caller = Caller(await authenticator.verifier.user(bearer(request.headers.get("Authorization"))))
    except Unauthorized as error:
        await authenticator.refuse(request, error)
        raise
    structlog.contextvars.bind_contextvars(caller=caller.id)
    await authenticator.limits.count("user", caller.id)
    await authenticator.limits.count("all", "all")
    return caller


async def _service(request: web.Request) -> Service:
    """The caller by X-Service-Key."""
    authenticator = request.app[AUTHENTICATOR]
    await _by_key(request, "X-Service-Key", authenticator.service_keys, "SERVICE_KEY")
    await authenticator.limits.count("service", "service")
    await authenticator.limits.count("all", "all")
    return Service()


async def _operator(request: web.Request) -> Operator:
    """The caller by X-Console-Key."""
    authenticator = request.app[AUTHENTICATOR]
    await _by_key(request, "X-Console-Key", authenticator.console_keys, "CONSOLE_KEY")
    await authenticator.limits.count("console", "console")
    return Operator()


async def _by_key(request: web.Request, header: str, keys: Sequence[str], option: str) -> None:
    if not keys:
        raise Closed(option=option)
    if not same_key(request.headers.get(header), keys):
        await request.app[AUTHENTICATOR].refuse(request, KeyRefused(header=header))


async def _anyone(request: web.Request) -> Anyone:
    return Anyone()


USER = Scheme(
    name="user",
    security={
        "type": "http",
        "scheme": "bearer",
        "bearerFormat": "JWT",
        "description": "A token of the product; its subject calls.",
    },
    caller=Caller,
    authenticate=_user,
    problems=(Unauthorized, RateLimited, KeysUnavailable),
)
SERVICE = Scheme(
    name="service",
    security={
        "type": "apiKey",
        "in": "header",
        "name": "X-Service-Key",
        "description": "The key of the product's back end.",
    },
    caller=Service,
    authenticate=_service,
    problems=(KeyRefused, Closed, RateLimited),
)
CONSOLE = Scheme(
    name="console",
    security={
        "type": "apiKey",
        "in": "header",
        "name": "X-Console-Key",
        "description": "The key of the operator console.",
    },
    caller=Operator,
    authenticate=_operator,
    problems=(KeyRefused, Closed, RateLimited),
)
PUBLIC = Scheme(name="", security={}, caller=Anyone, authenticate=_anyone)
