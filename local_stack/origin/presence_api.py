"""Presence over HTTP: heartbeat, leave, here-now, where-now and state (PubNub docs, recorded replies).

Parameters, bodies and the three spellings of `sub-key`; the state is in `presence`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import islice
from typing import Any

from aiohttp import web

from local_stack.origin import strict_json
from local_stack.origin.call import CALL, Call
from local_stack.origin.channels import PRESENCE
from local_stack.origin.keyset import Keyset
from local_stack.origin.operations import needs
from local_stack.origin.permission import allowed
from local_stack.origin.presence import State, Visit
from local_stack.origin.reply import Family, reply

MAX_PAGE = 1000
_OK = {"status": 200, "message": "OK", "service": "Presence"}


class BadStateError(ValueError):
    """A state is rejected; the text is PubNub's."""


async def heartbeat(request: web.Request) -> web.StreamResponse:
    """GET …/channel/{channels}/heartbeat"""
    call = request[CALL]
    channels, groups = call.names("channels"), call.listed("channel-group")
    refusal = allowed(call, needs("heartbeat", channels, groups))
    if refusal is not None:
        return refusal
    try:
        visit = visit_of(call, occupied(call.keyset, channels, groups), explicit=True)
    except BadStateError as error:
        return bad_state(error)
    if visit is not None:
        call.keyset.visit(visit)
    return _ok()


async def leave(request: web.Request) -> web.StreamResponse:
    """GET …/channel/{channels}/leave"""
    call = request[CALL]
    channels, groups = call.names("channels"), call.listed("channel-group")
    operation = "leave_checked" if call.keyset.settings.leave_checked else "leave"
    refusal = allowed(call, needs(operation, channels, groups))
    if refusal is not None:
        return refusal
    if call.uuid:
        call.keyset.leave(call.uuid, occupied(call.keyset, channels, groups))
    return _response({"status": 200, "action": "leave", "message": "OK", "service": "Presence"})


async def here_now(request: web.Request) -> web.StreamResponse:
    """GET …/channel/{channels}, with `channel-group` as well"""
    call = request[CALL]
    channels, groups = call.names("channels"), call.listed("channel-group")
    refusal = allowed(call, needs("here_now", channels, groups))
    if refusal is not None:
        return refusal
    if len(channels) == 1 and not groups:
        return _ok(_channel_body(call, channels[0]))
    return _many(call, occupied(call.keyset, channels, groups))


async def here_now_global(request: web.Request) -> web.StreamResponse:
    """GET /v2/presence/sub-key/{sub}"""
    call = request[CALL]
    refusal = allowed(call, needs("here_now_global"))
    if refusal is not None:
        return refusal
    if not call.keyset.settings.presence.global_here_now:
        return _refused("Global Here Now is not enabled for this keyset.")
    return _many(call, call.keyset.presence.channels())


async def where_now(request: web.Request) -> web.StreamResponse:
    """GET …/uuid/{uuid}"""
    call = request[CALL]
    refusal = allowed(call, needs("where_now"))
    return refusal or _ok({"payload": {"channels": call.keyset.presence.where(call.name("uuid"))}})


async def get_state(request: web.Request) -> web.StreamResponse:
    """GET …/channel/{channels}/uuid/{uuid}"""
    call = request[CALL]
    named, groups = call.names("channels"), call.listed("channel-group")
    refusal = allowed(call, needs("get_state", named, groups))
    if refusal is not None:
        return refusal
    uuid, presence = call.name("uuid"), call.keyset.presence
    channels = occupied(call.keyset, named, groups)
    if len(named) == 1 and not groups:
        return _ok({"payload": presence.state(uuid, named[0]), "uuid": uuid, "channel": named[0]})
    return _ok(
        {"payload": {"channels": {name: presence.state(uuid, name) for name in channels}}, "uuid": uuid}
    )


async def set_state(request: web.Request) -> web.StreamResponse:
    """GET …/channel/{channels}/uuid/{uuid}/data"""
    call = request[CALL]
    named, groups = call.names("channels"), call.listed("channel-group")
    refusal = allowed(call, needs("set_state", named, groups))
    if refusal is not None:
        return refusal
    try:
        state = _state(call.query.get("state", ""))
    except BadStateError as error:
        return bad_state(error)
    keyset = call.keyset
    states = dict.fromkeys(occupied(keyset, named, groups), state)
    keyset.announce(keyset.presence.set_state(call.name("uuid"), states, call.now))
    return _ok({"payload": state})


def occupied(keyset: Keyset, channels: Iterable[str], groups: Iterable[str]) -> tuple[str, ...]:
    """The channels that a subscriber of these names occupies: without presence names, groups resolved to channels."""
    names = [channel for channel in channels if not channel.endswith(PRESENCE)]
    for group in groups:
        if not group.endswith(PRESENCE):
            names += keyset.groups.channels(group)
    return tuple(dict.fromkeys(name for name in names if not name.endswith(PRESENCE)))


def visit_of(
    call: Call, channels: tuple[str, ...], *, explicit: bool = False, first: bool = False
) -> Visit | None:
    """The sign of life in a request; None without a uuid. Raises `BadStateError`."""
    states = _states(call.query.get("state", ""), channels)
    if call.uuid is None or not channels:
        return None
    return Visit(call.uuid, channels, explicit, first, _seconds(call.query.get("heartbeat")), states)


def bad_state(error: BadStateError) -> web.Response:
    """The response to an invalid state (recorded)."""
    return _refused(str(error))


def _states(text: str, channels: Iterable[str]) -> Mapping[str, State]:
    """The states by channel in a subscribe request or heartbeat."""
    if not text:
        return {}
    states = _state(text)
    return {channel: states[channel] for channel in channels if isinstance(states.get(channel), dict)}


def _state(text: str) -> State:
    if not text:
        raise BadStateError("No state specified.")
    try:
        state = strict_json.loads(text)
    except ValueError:
        raise BadStateError("Invalid JSON specified.") from None
    if not isinstance(state, dict):
        raise BadStateError("State must be a JSON object.")
    return state


def _seconds(text: str | None) -> float | None:
    """The `heartbeat` parameter; None for anything but a positive number."""
    return float(text) if text and text.isascii() and text.isdigit() and int(text[:9]) > 0 else None


def _channel_body(call: Call, channel: str) -> dict[str, Any]:
    """One channel's part of a here-now response."""
    here = _here(call, channel)
    body: dict[str, Any] = {}
    limit = _bounded(call.query.get("limit"), MAX_PAGE)
    if call.query.get("disable_uuids") not in ("1", "true"):
        offset = _bounded(call.query.get("offset"), len(here), 0)
        page = islice(here.items(), offset, offset + limit)
        with_state = call.query.get("state") in ("1", "true")
        body["uuids"] = (
            [_with_state(uuid, state) for uuid, state in page] if with_state else [uuid for uuid, _ in page]
        )
    return body | {"occupancy": len(here)}


def _here(call: Call, channel: str) -> Mapping[str, State | None]:
    """The occupants of `channel`, cached for some seconds if the keyset is set so."""
    keyset = call.keyset
    keep_s = keyset.settings.presence.here_now_cache_s
    if not keep_s:
        return keyset.presence.here(channel)
    until, here = keyset.here_now.get(channel, (0.0, {}))
    if until <= call.now:
        here = keyset.presence.here(channel)
        keyset.here_now[channel] = (call.now + keep_s, here)
    return here


def _with_state(uuid: str, state: State | None) -> dict[str, Any]:
    return {"uuid": uuid, "state": state} if state else {"uuid": uuid}


def _many(call: Call, channels: Iterable[str]) -> web.Response:
    rooms = {channel: body for channel in channels if (body := _channel_body(call, channel))["occupancy"]}
    total = sum(body["occupancy"] for body in rooms.values())
    return _ok({"payload": {"channels": rooms, "total_channels": len(rooms), "total_occupancy": total}})


def _bounded(text: str | None, most: int, default: int | None = None) -> int:
    """A number of the query between 0 and `most`; `default` (or `most`) where it is absent or invalid."""
    if text and text.isascii() and text.isdigit() and len(text) < 10:
        return min(most, int(text))
    return most if default is None else default


def _ok(more: Mapping[str, Any] | None = None) -> web.Response:
    return _response({**_OK, **(more or {})})


def _response(body: Mapping[str, Any]) -> web.Response:
    return reply(body, family=Family.PRESENCE)


def _refused(message: str) -> web.Response:
    body = {"status": 400, "error": 1, "message": message, "service": "Presence"}
    return reply(body, 400, Family.PRESENCE)


_SUB = "/v2/presence/{:sub-key|sub_key|subkey}/{sub}"
ROUTES = [
    web.get(_SUB, here_now_global),
    web.get(_SUB + "/channel/{channels}", here_now),
    web.get(_SUB + "/channel/{channels}/heartbeat", heartbeat),
    web.get(_SUB + "/channel/{channels}/leave", leave),
    web.get(_SUB + "/uuid/{uuid}", where_now),
    web.get(_SUB + "/channel/{channels}/uuid/{uuid}", get_state),
    web.get(_SUB + "/channel/{channels}/uuid/{uuid}/data", set_state),
]
