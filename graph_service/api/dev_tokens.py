"""Mints development tokens, signed with JWT_SECRET; refuses in production."""

from __future__ import annotations

import jwt

from graph_service.errors import SetupError
from graph_service.model import ids
from graph_service.settings import Settings


def mint(settings: Settings, user: str, now: float, seconds: float = 3600.0) -> str:
    """A token for `user`, valid from `now` (seconds since the epoch) for `seconds`.

    Raises `SetupError` in production or without JWT_SECRET, `BadId` for an id that is refused.
    """
    if settings.environment == "production":
        raise SetupError(
            what="Tokens are not minted with ENVIRONMENT=production",
            todo="Let the product sign them, or set ENVIRONMENT=development on a developer's machine",
        )
    if settings.jwt_secret is None:
        raise SetupError(
            what="JWT_SECRET is not set", todo="Set the secret that the API verifies tokens with"
        )
    claims = {"sub": ids.check(user, "user"), "iat": int(now), "exp": int(now + seconds)}
    optional = {"aud": settings.jwt_audience, "iss": settings.jwt_issuer}
    claims |= {name: value for name, value in optional.items() if value}
    return jwt.encode(claims, settings.jwt_secret.get_secret_value(), algorithm="HS256")
