"""Message persistence over HTTP: fetch, fetch with actions, counts, delete (`/v3/history...`).

Paths, parameters and bodies (PubNub docs, recorded replies); the state is in `history`.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import quote

from aiohttp import web

from local_stack.origin.call import CALL, Call
from local_stack.origin.history import Slice, Stored
from local_stack.origin.operations import needs
from local_stack.origin.permission import allowed
from local_stack.origin.reply import Family, reply

_YES = {"1", "true"}
MAX_ONE, MAX_MANY, MAX_CHANNELS = 100, 25, 500

Serve = Callable[[Call, list[str]], web.Response]


class ParameterError(ValueError):
    """A query parameter is invalid; the text names it."""


def _responses(operation: str, serve: Serve) -> Callable[[web.Request], Awaitable[web.Response]]:
    """A handler around `serve`: parses channels, checks rights, formats errors as this family does."""

    async def handler(request: web.Request) -> web.Response:
        call, body = request[CALL], await request.read()
        channels = call.names("channels")
        if not 0 < len(channels) <= MAX_CHANNELS:
            return _error(f"One to {MAX_CHANNELS} channels are expected.")
        no = allowed(call, needs(operation, channels=channels), Family.HISTORY, body)
        if no is not None:
            return no
        try:
            return serve(call, channels)
        except ParameterError as error:
            return _error(str(error))

    return handler


def _fetch(call: Call, channels: list[str]) -> web.Response:
    most = MAX_ONE if len(channels) == 1 else MAX_MANY
    part, asked = _slice(call), _number(call, "max") or most
    found = {name: _found(call, name, part, min(asked, most)) for name in channels}
    return _done(
        channels={
            _key(call, name): [_shown(call, stored) for stored in messages]
            for name, messages in found.items()
            if messages
        }
    )


def _fetch_with_actions(call: Call, channels: list[str]) -> web.Response:
    if len(channels) > 1:
        raise ParameterError("Message actions can be fetched for one channel at a time.")
    (channel,) = channels
    asked = _number(call, "max") or MAX_MANY
    messages = _found(call, channel, _slice(call), min(asked, MAX_MANY))
    shown = []
    for stored in messages:
        grouped = call.keyset.actions.grouped(channel, stored.timetoken)
        shown.append({**_shown(call, stored), **({"actions": grouped} if grouped else {})})
    return _done(
        channels={_key(call, channel): shown} if shown else {}, **_more(call, channel, messages, asked)
    )


def _more(call: Call, channel: str, messages: list[Stored], asked: int) -> dict[str, Any]:
    """The next page's parameters, where more messages exist than were returned."""
    if asked <= MAX_MANY or len(messages) < MAX_MANY:
        return {}
    oldest, left = messages[0].timetoken, asked - MAX_MANY
    if not _found(call, channel, Slice(oldest, _number(call, "end")), 1):
        return {}
    path = call.target.partition("?")[0]
    return {"more": {"url": f"{path}?start={oldest}&max={left}", "start": str(oldest), "max": left}}


def _count(call: Call, channels: list[str]) -> web.Response:
    each = [text for text in call.query.get("channelsTimetoken", "").split(",") if text]
    common = _number(call, "timetoken")
    since = [_timetoken("channelsTimetoken", text) for text in each] if each else [common or 0]
    if len(since) == 1:
        since = since * len(channels)
    if len(since) != len(channels) or (common is None and not each):
        raise ParameterError("A timetoken for all channels, or one for each, is expected.")
    now = call.keyset.clock.timetoken()
    counts = {
        _key(call, name): call.keyset.history.count(name, start, now)
        for name, start in zip(channels, since, strict=True)
    }
    return _done(channels=counts, more={})


def _delete(call: Call, channels: list[str]) -> web.Response:
    part = _slice(call)
    for channel in channels:
        call.keyset.actions.forget(channel, call.keyset.history.delete(channel, part))
    return _done()


def _found(call: Call, channel: str, part: Slice, most: int) -> list[Stored]:
    return call.keyset.history.fetch(channel, part, most, call.keyset.clock.timetoken())


def _shown(call: Call, stored: Stored) -> dict[str, Any]:
    """A message in a response; requested optional members are present even if empty."""
    shown: dict[str, Any] = {"message": json.loads(stored.text), "timetoken": str(stored.timetoken)}
    if _yes(call, "include_meta"):
        shown["meta"] = "" if stored.meta is None else stored.meta
    if _yes(call, "include_uuid"):
        shown["uuid"] = stored.uuid or ""
    if _yes(call, "include_message_type"):
        shown["message_type"] = None if stored.message_type is None else str(stored.message_type)
    if _yes(call, "include_custom_message_type"):
        shown["custom_message_type"] = stored.custom_type
    return shown


def _slice(call: Call) -> Slice:
    return Slice(_number(call, "start"), _number(call, "end"))


def _number(call: Call, name: str) -> int | None:
    text = call.query.get(name)
    return None if not text else _timetoken(name, text)


def _timetoken(name: str, text: str) -> int:
    if not text.isascii() or not text.isdigit() or len(text) > 20:
        raise ParameterError(f"Invalid {name}.")
    return int(text)


def _yes(call: Call, name: str) -> bool:
    return call.query.get(name, "").lower() in _YES


def _key(call: Call, channel: str) -> str:
    """Channel names are returned percent-encoded unless the request declines it (documented)."""
    return channel if call.query.get("encode_channels") in {"false", "0"} else quote(channel, safe="")


def _done(**members: Any) -> web.Response:
    return reply({"status": 200, "error": False, "error_message": "", **members}, 200, Family.HISTORY)


def _error(text: str) -> web.Response:
    return reply({"status": 400, "error": True, "error_message": text}, 400, Family.HISTORY)


_BASE = "{:sub-key|sub_key|subkey}/{sub}"
ROUTES = [
    web.get(f"/v3/history/{_BASE}/channel/{{channels}}", _responses("history", _fetch)),
    web.get(
        f"/v3/history-with-actions/{_BASE}/channel/{{channels}}", _responses("history", _fetch_with_actions)
    ),
    web.get(f"/v3/history/{_BASE}/message-counts/{{channels}}", _responses("message_counts", _count)),
    web.delete(f"/v3/history/{_BASE}/channel/{{channels}}", _responses("delete_messages", _delete)),
]
