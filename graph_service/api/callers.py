"""The ways into the API: by a user's token, by the service key, by the console's key, or open. Counts every call.

Knows how a caller is known and which rate applies; knows no route. A call that shows no valid token or key is
counted against its address, before it is told so; one that does is counted against the caller alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import structlog
from aiohttp import web

from graph_service import metrics
from graph_service.api import client_address
from graph_service.api.authentication import Verifier, bearer, same_key
from graph_service.api.jwks import KeysUnavailable
from graph_service.api.rate_limits import RateLimits
from graph_service.api.routing import Scheme
from graph_service.errors import FriendsError, RateLimited, Unauthorized
from graph_service.settings import Settings


class KeyRefused(Unauthorized):
    """The key in {header} is missing or wrong."""

    code = "key_refused"


class Closed(FriendsError):
    """This route is closed: {option} is not set."""

    code = "closed"
    status = 403


@dataclass(frozen=True, slots=True)
class Caller:
    """The user who calls: the token's subject."""

    id: str


@dataclass(frozen=True, slots=True)
class Service:
    """A product's backend, known by its service key."""


@dataclass(frozen=True, slots=True)
class Operator:
    """A person at the console, known by the console's key."""


@dataclass(frozen=True, slots=True)
class Anyone:
    """Nobody in particular."""


@dataclass(frozen=True)
class Authenticator:
    """What admission needs: how tokens are verified, which keys are accepted, what is counted."""

    verifier: Verifier
    limits: RateLimits
    trusted: Sequence[client_address.Network]
    service_keys: Sequence[str]
    console_keys: Sequence[str]

    async def refuse(self, request: web.Request, error: Unauthorized) -> None:
        """Count a failed try against its address; raises `RateLimited`, or the error itself."""
        metrics.REFUSED.inc()
        forwarded = request.headers.getall("X-Forwarded-For", ())
        came_from = client_address.client(request.remote or "", forwarded, self.trusted)
        await self.limits.count("address", client_address.bucket(came_from))
        raise error


AUTHENTICATOR = web.AppKey("gate", Authenticator)


def build_authenticator(settings: Settings, verifier: Verifier, limits: RateLimits) -> Authenticator:
    """The gate that the options describe."""
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
    build_authenticator = request.app[AUTHENTICATOR]
    try:
        caller = Caller(await build_authenticator.verifier.user(bearer(request.headers.get("Authorization"))))
    except Unauthorized as error:
        await build_authenticator.refuse(request, error)
        raise
    structlog.contextvars.bind_contextvars(caller=caller.id)
    await build_authenticator.limits.count("user", caller.id)
    await build_authenticator.limits.count("all", "all")
    return caller


async def _service(request: web.Request) -> Service:
    """The caller by X-Service-Key."""
    build_authenticator = request.app[AUTHENTICATOR]
    await _by_key(request, "X-Service-Key", build_authenticator.service_keys, "SERVICE_KEY")
    await build_authenticator.limits.count("service", "service")
    await build_authenticator.limits.count("all", "all")
    return Service()


async def _operator(request: web.Request) -> Operator:
    """The caller by X-Console-Key."""
    build_authenticator = request.app[AUTHENTICATOR]
    await _by_key(request, "X-Console-Key", build_authenticator.console_keys, "CONSOLE_KEY")
    await build_authenticator.limits.count("console", "console")
    return Operator()


async def _by_key(request: web.Request, header: str, keys: Sequence[str], option: str) -> None:
    if not keys:
        raise Closed(option=option)
    if not same_key(request.headers.get(header), keys):
        await request.app[AUTHENTICATOR].refuse(request, KeyRefused(header=header))


async def _anyone(request: web.Request) -> Anyone:
    return Anyone()


USER = Scheme(
    "user",
    {
        "type": "http",
        "scheme": "bearer",
        "bearerFormat": "JWT",
        "description": "A token of the product; its subject calls.",
    },
    Caller,
    _user,
    (Unauthorized, RateLimited, KeysUnavailable),
)
SERVICE = Scheme(
    "service",
    {
        "type": "apiKey",
        "in": "header",
        "name": "X-Service-Key",
        "description": "The key of the product's backend.",
    },
    Service,
    _service,
    (KeyRefused, Closed, RateLimited),
)
CONSOLE = Scheme(
    "console",
    {
        "type": "apiKey",
        "in": "header",
        "name": "X-Console-Key",
        "description": "The key of the operator console.",
    },
    Operator,
    _operator,
    (KeyRefused, Closed, RateLimited),
)
PUBLIC = Scheme("", {}, Anyone, _anyone)
