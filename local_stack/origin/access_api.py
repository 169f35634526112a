"""Access Manager v3 over HTTP: grant and revoke (`/v3/pam/{sub}/grant`).

Paths and bodies (PubNub docs, recorded replies). Both requests must be signed, whether Access Manager is on or not.
Rights are in `access` and `permission`.
"""

from __future__ import annotations

from typing import Any

from aiohttp import web

from local_stack.origin import permission
from local_stack.origin.access import ExpiredError
from local_stack.origin.call import CALL, Call
from local_stack.origin.grant_body import GrantError, claims_of
from local_stack.origin.reply import Family, reply
from local_stack.origin.token import TokenError, encode

SERVICE = permission.SERVICE
MISMATCH = "Client and server produced different signatures for the same inputs."


async def grant(request: web.Request) -> web.Response:
    """Respond with a token that contains the grants of the body."""
    call, body = request[CALL], await request.read()
    if (no := _unsigned(call, "grant", body)) is not None:
        return no
    try:
        claims = claims_of(body, int(call.now))
    except GrantError as error:
        return _error(400, error.message, "grant", (error.detail, error.location, "body"))
    token = encode(claims, call.keyset.secret_key)
    return _done({"message": "Success", "token": token})


async def revoke(request: web.Request) -> web.Response:
    """Revoke a token before it expires."""
    call = request[CALL]
    if (no := _unsigned(call, "revoke", await request.read())) is not None:
        return no
    call.keyset.access.revocation_delay_s = call.keyset.settings.revocation_delay_s
    try:
        call.keyset.access.revoke(call.name("token"), call.keyset.secret_key, call.now)
    except ExpiredError:
        return _error(400, "Invalid token", "revoke", ("Token is expired.", "token", "path"))
    except TokenError:
        return _error(400, "Invalid token", "revoke", ("Token is invalid.", "token", "path"))
    return _done({"message": "Success"})


def _unsigned(call: Call, source: str, body: bytes) -> web.Response | None:
    """The response to a request without a valid signature."""
    no = permission.signed(call, body)
    if no is None:
        return None
    if no.status == 400:
        return reply(no.body(), no.status, Family.ACCESS)
    return _error(403, no.message, source, (MISMATCH, "signature", "query"))


def _done(data: dict[str, Any]) -> web.Response:
    return reply({"data": data, "service": SERVICE, "status": 200}, 200, Family.ACCESS)


def _error(status: int, message: str, source: str, detail: tuple[str, str, str]) -> web.Response:
    """The family's error body; the two requests were recorded with their members in different order."""
    text, location, location_type = detail
    details = [{"message": text, "location": location, "locationType": location_type}]
    error: dict[str, Any] = {"message": message, "source": source, "details": details}
    if source == "revoke":
        error = {**dict.fromkeys(sorted(error)), **error, "details": [dict(sorted(details[0].items()))]}
    return reply({"error": error, "service": SERVICE, "status": status}, status, Family.ACCESS)


ROUTES = [
    web.post("/v3/pam/{sub}/grant", grant),
    web.delete("/v3/pam/{sub}/grant/{token}", revoke),
]
