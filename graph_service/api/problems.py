"""Errors as problem details (RFC 9457): our errors, pydantic's and aiohttp's.

A problem: ``type, title, status, detail, code, requestId``, and where it helps ``errors`` (field and reason of each
wrong part) and ``retryAfter`` (seconds, also as the header). Callers switch on ``code``.
"""

from __future__ import annotations

import json
import re
from http import HTTPStatus
from typing import Any

from aiohttp import web
from pydantic import ValidationError

from graph_service.errors import BadInput, FriendsError, Unauthorized
from graph_service.model.ids import BadId

MEDIA_TYPE = "application/problem+json"


class Internal(FriendsError):
    """Something went wrong on our side. It is logged under this request id."""


class Invalid(BadInput):
    """The request is not as the API document says; 'errors' names each part."""

    code = "invalid"


class OriginRefused(FriendsError):
    """Pages of this origin may not call the API (CORS_ORIGINS)."""

    code = "origin_refused"
    status = 403


class RouteNotFound(FriendsError):
    """There is nothing at this path. The routes are listed at /docs."""

    code = "route_not_found"
    status = 404


class MethodNotAllowed(FriendsError):
    """This path answers only {allowed}."""

    code = "method_not_allowed"
    status = 405


class BodyTooLarge(FriendsError):
    """The body is larger than {limit} bytes."""

    code = "body_too_large"
    status = 413


class WrongMediaType(FriendsError):
    """The body must be application/json, not {media_type}."""

    code = "wrong_media_type"
    status = 415


class HeadersTooLarge(FriendsError):
    """The headers are larger than {limit} bytes."""

    code = "headers_too_large"
    status = 431


class Malformed(FriendsError):
    """The request cannot be read: {reason}"""

    code = "malformed"
    status = 400


def refused(error: ValidationError, where: str = "") -> FriendsError:
    """A validation error as one error that names every part; `where` is put before the field names."""
    found = [
        {"field": _field(where, one["loc"]), "reason": one["msg"]}
        for one in error.errors(include_input=False, include_url=False)
    ]
    if all(one["type"] == "bad_id" for one in error.errors(include_input=False, include_url=False)):
        return BadId(**found[0], errors=found)
    return Invalid(errors=found[:20])


def of_http(error: web.HTTPException) -> FriendsError:
    """An error of aiohttp as one of ours."""
    if isinstance(error, web.HTTPNotFound):
        return RouteNotFound()
    if isinstance(error, web.HTTPMethodNotAllowed):
        return MethodNotAllowed(allowed=", ".join(sorted(error.allowed_methods)))
    if isinstance(error, web.HTTPRequestEntityTooLarge):
        limit = re.search(r"Maximum request body size (\d+)", error.text or "")
        return BodyTooLarge(limit=limit[1] if limit else "allowed")
    return Malformed(reason=error.reason)


def response(error: FriendsError, request_id: str) -> web.Response:
    """The response that reports this error to a caller."""
    headers = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}
    body = body_of(error, request_id)
    if "retryAfter" in body:
        headers["Retry-After"] = str(body["retryAfter"])
    if type(error) is Unauthorized:  # service and console keys have no scheme for a challenge
        headers["WWW-Authenticate"] = "Bearer"
    if isinstance(error, MethodNotAllowed):
        headers["Allow"] = str(error.fields["allowed"])
    return web.Response(text=json.dumps(body), status=error.status, content_type=MEDIA_TYPE, headers=headers)


def body_of(error: FriendsError, request_id: str) -> dict[str, Any]:
    """The members of the problem."""
    body: dict[str, Any] = {
        "type": f"/docs#problem-{error.code}",
        "title": HTTPStatus(error.status).phrase,
        "status": error.status,
        "detail": str(error),
        "code": error.code,
        "requestId": request_id,
    }
    if "errors" in error.fields:
        body["errors"] = error.fields["errors"]
    if error.temporary:
        body["retryAfter"] = error.fields.get("retry_after", 1)
    return body


def _field(where: str, path: tuple[int | str, ...]) -> str:
    return ".".join(str(part) for part in (where, *path) if part != "") or "query"
