"""Message actions over HTTP (`/v1/message-actions/...`).

Paths and bodies (PubNub docs, recorded replies); every change is published to subscribers (`e:3`). Stateless. Whether
the message exists is not checked: the real service does not either, as far as is known.
"""

from __future__ import annotations

from typing import Any

from aiohttp import web

from local_stack.origin import strict_json
from local_stack.origin.access import Need
from local_stack.origin.actions import MAX_LIMIT, Action, DuplicateActionError
from local_stack.origin.call import CALL, Call
from local_stack.origin.envelope import Envelope, Kind
from local_stack.origin.operations import needs
from local_stack.origin.permission import allowed
from local_stack.origin.reply import Family, reply


class ParameterError(ValueError):
    """A parameter or body member is invalid; the text names it."""


async def listed(request: web.Request) -> web.Response:
    """The actions of a channel, oldest first."""
    call = request[CALL]
    channel = call.name("channel")
    if (no := allowed(call, needs("get_actions", channels=[channel]), Family.ACTIONS)) is not None:
        return no
    try:
        start, end = _number("start", call.query.get("start")), _number("end", call.query.get("end"))
        limit = min(_number("limit", call.query.get("limit")) or MAX_LIMIT, MAX_LIMIT)
    except ParameterError as error:
        return _error(400, str(error))
    page, older = call.keyset.actions.page(channel, start, end, limit)
    body: dict[str, Any] = {"status": 200, "data": [action.as_json() for action in page]}
    if older and page:
        body["more"] = _more(call, page[0].timetoken, limit)
    return reply(body, 200, Family.ACTIONS)


async def add(request: web.Request) -> web.Response:
    """Attach an action to a message and notify the channel."""
    call, body = request[CALL], await request.read()
    channel = call.name("channel")
    if (no := allowed(call, needs("add_action", channels=[channel]), Family.ACTIONS, body)) is not None:
        return no
    try:
        action = _action(call, body)
        call.keyset.actions.add(channel, action)
    except ParameterError as error:
        return _error(400, str(error))
    except DuplicateActionError:
        return _error(409, "Action Already Added")
    _publish_event(call, channel, action, "added")
    return reply({"status": 200, "data": action.as_json()}, 200, Family.ACTIONS)


async def remove(request: web.Request) -> web.Response:
    """Remove an action and notify the channel."""
    call, body = request[CALL], await request.read()
    channel = call.name("channel")
    wanted: list[Need] = needs("remove_action", channels=[channel])
    if (no := allowed(call, wanted, Family.ACTIONS, body)) is not None:
        return no
    try:
        message, timetoken = (_number(part, call.name(part)) or 0 for part in ("message", "action"))
    except ParameterError as error:
        return _error(400, str(error))
    action = call.keyset.actions.remove(channel, message, timetoken)
    if action is None:
        return _error(404, "Action Not Found")
    _publish_event(call, channel, action, "removed")
    return reply({"status": 200, "data": {}}, 200, Family.ACTIONS)


def _action(call: Call, body: bytes) -> Action:
    try:
        document = strict_json.loads(body)
    except strict_json.NotJsonError:
        raise ParameterError("Body is not JSON") from None
    fields = document if isinstance(document, dict) else {}
    for name in ("type", "value"):
        if not isinstance(fields.get(name), str) or not fields[name]:
            raise ParameterError(f"Missing or invalid '{name}' in body")
    if call.uuid is None:
        raise ParameterError("Missing uuid")
    message = _number("message timetoken", call.name("message")) or 0
    timetoken = call.keyset.clock.timetoken()
    return Action(message, fields["type"], call.uuid, fields["value"], timetoken)


def _publish_event(call: Call, channel: str, action: Action, kind: str) -> None:
    payload = action.event(kind)
    call.keyset.publish(Envelope(channel=channel, payload=payload, kind=Kind.ACTION, publisher=call.uuid))


def _more(call: Call, oldest: int, limit: int) -> dict[str, Any]:
    path = call.target.partition("?")[0]
    end = call.query.get("end")
    bounds = f"start={oldest}" + (f"&end={end}" if end else "")
    more: dict[str, Any] = {"url": f"{path}?{bounds}&limit={limit}", "start": str(oldest)}
    return {**more, **({"end": end} if end else {}), "limit": limit}


def _number(name: str, text: str | None) -> int | None:
    if not text:
        return None
    if not text.isascii() or not text.isdigit() or len(text) > 20:
        raise ParameterError(f"Invalid {name}")
    return int(text)


def _error(status: int, message: str) -> web.Response:
    return reply(
        {"status": status, "error": {"message": message, "source": "actions"}}, status, Family.ACTIONS
    )


_BASE = "/v1/message-actions/{sub}/channel/{channel}"
ROUTES = [
    web.get(_BASE, listed),
    web.post(f"{_BASE}/message/{{message}}", add),
    web.delete(f"{_BASE}/message/{{message}}/action/{{action}}", remove),
]
