"""Channel groups over HTTP (`/v1/channel-registration/...`).

Paths and bodies (recorded replies); the state is in `groups`.
"""

from __future__ import annotations

from typing import Any

from aiohttp import web

from local_stack.origin.call import CALL
from local_stack.origin.groups import GroupError
from local_stack.origin.operations import needs
from local_stack.origin.permission import allowed
from local_stack.origin.reply import Family, reply

SERVICE = "channel-registry"


async def groups(request: web.Request) -> web.Response:
    call = request[CALL]
    if (no := allowed(call, needs("list_groups"), Family.GROUPS)) is not None:
        return no
    return _payload({"namespace": "", "groups": call.keyset.groups.names()})


async def group(request: web.Request) -> web.Response:
    """Add channels to a group, remove some, or list it when the query has neither."""
    call = request[CALL]
    name, changing = call.name("group"), "add" in call.query or "remove" in call.query
    operation = needs("change_group" if changing else "list_group", groups=[name])
    if (no := allowed(call, operation, Family.GROUPS)) is not None:
        return no
    if not changing:
        return _payload({"channels": call.keyset.groups.channels(name), "group": name})
    try:
        call.keyset.groups.add(name, call.listed("add"))
    except GroupError as error:
        return _response(400, str(error), error=True)
    call.keyset.groups.remove(name, call.listed("remove"))
    call.keyset.group_changed(name)
    return _response(200, "OK", error=False)


async def delete(request: web.Request) -> web.Response:
    call = request[CALL]
    if (no := allowed(call, needs("change_group", groups=[call.name("group")]), Family.GROUPS)) is not None:
        return no
    call.keyset.groups.delete(call.name("group"))
    call.keyset.group_changed(call.name("group"))
    return _response(200, "OK", error=False)


def _payload(payload: dict[str, Any]) -> web.Response:
    return reply({"status": 200, "payload": payload, "service": SERVICE, "error": False}, 200, Family.GROUPS)


def _response(status: int, message: str, *, error: bool) -> web.Response:
    body = {"status": status, "message": message, "service": SERVICE, "error": error}
    return reply(body, status, Family.GROUPS)


_BASE = "/v1/channel-registration/{:sub-key|sub_key|subkey}/{sub}/channel-group"
ROUTES = [
    web.get(_BASE, groups),
    web.get(f"{_BASE}/{{group}}", group),
    web.get(f"{_BASE}/{{group}}/remove", delete),
]
