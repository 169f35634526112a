"""Authorize a request, and build the response that rejects it.

Access Manager can be off; a request signed with the secret key may do everything; rejections have the recorded bodies
(PubNub docs). A signature's timestamp can match the origin's clock or the machine's: clients sign with real time while
a test moves the virtual one. The rights that operations need are in `operations`.

Use: ``if (no := allowed(call, needs("publish", channels=[channel]))) is not None: return no``
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from aiohttp import web

from local_stack.origin.access import ExpiredError, Need, RevokedError
from local_stack.origin.call import Call
from local_stack.origin.reply import Family, reply
from local_stack.origin.signature import Keys, SignedRequest, genuine, timely

SERVICE = "Access Manager"
_PAYLOAD = {"chan": ("channels", ""), "grp": ("channel-groups", ":"), "uuid": ("uuids", "")}


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a request is rejected: the status, the text and the resources that were denied."""

    status: int
    message: str
    payload: dict[str, list[str]] | None = None

    def body(self) -> dict[str, Any]:
        """The body of most families, members in the recorded order."""
        if self.payload is None:
            return {"error": True, "status": self.status, "service": SERVICE, "message": self.message}
        head = {"message": self.message, "payload": self.payload}
        return {**head, "error": True, "service": SERVICE, "status": self.status}


def allowed(
    call: Call, wanted: Iterable[Need], family: Family = Family.MESSAGES, body: bytes = b""
) -> web.Response | None:
    """None when the request is allowed, else the response that rejects it. A signature covers `body`."""
    no = refusal(call, wanted, body)
    return None if no is None else reply(no.body(), no.status, family)


def refusal(call: Call, wanted: Iterable[Need], body: bytes = b"") -> Refusal | None:
    """As `allowed`, for families with other error bodies."""
    if not call.keyset.settings.access_manager:
        return None
    if "signature" in call.query:
        return signed(call, body)
    try:
        in_vain = call.keyset.access.refused(call.auth, call.uuid, wanted, call.keyset.secret_key, call.now)
    except ExpiredError:
        return Refusal(403, "Token is expired.")
    except RevokedError:
        return Refusal(403, "Token is revoked")
    return Refusal(403, "Forbidden", _payload(in_vain)) if in_vain else None


def signed(call: Call, body: bytes = b"") -> Refusal | None:
    """None when the request has a valid signature by the secret key, else why it is rejected."""
    path, _, query = call.target.partition("?")
    request = SignedRequest(call.method, path, query, body)
    if not timely(request, call.now, time.time()):
        return Refusal(400, "Invalid Timestamp")
    keys = Keys(call.keyset.publish_key, call.keyset.subscribe_key, call.keyset.secret_key)
    return None if genuine(request, keys) else Refusal(403, "Invalid signature")


def _payload(in_vain: Iterable[Need]) -> dict[str, list[str]]:
    payload: dict[str, list[str]] = {}
    for need in in_vain:
        name, prefix = _PAYLOAD.get(need.kind, (need.kind, ""))
        payload.setdefault(name, []).append(prefix + need.name)
    return payload
