"""Publish, fire, signal and time (PubNub docs, recorded replies).

The parameters of a message, its limits and the error responses; the keyset delivers.
"""

from __future__ import annotations

import re
import zlib
from typing import Any
from urllib.parse import unquote

from aiohttp import web

from local_stack.origin import strict_json
from local_stack.origin.call import CALL, Call
from local_stack.origin.clock import Clock
from local_stack.origin.envelope import Envelope, Kind
from local_stack.origin.names import channel_error, too_long
from local_stack.origin.operations import needs
from local_stack.origin.permission import allowed
from local_stack.origin.reply import raw, reply

CLOCK: web.RequestKey[Clock] = web.RequestKey("origin.clock", Clock)
"""The origin's clock, for requests that belong to no keyset."""

_CUSTOM_TYPE = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{2,49}", re.ASCII)
_TIMETOKEN = re.compile(r"[0-9]{17}", re.ASCII)
_MAX_INFLATED_BYTES = 1 << 20


class BadMessageError(ValueError):
    """A message is rejected; the text is PubNub's."""


def sent(call: Call, text: str, body: bytes = b"") -> web.Response | bytes:
    """Publish `text` by the call's parameters; returns a rejection or the response's body. `body` is the posted one."""
    try:
        if len(text) > call.keyset.settings.max_message_bytes // 4:
            _bounded(text, call.keyset.settings.max_message_bytes, "Message Too Large")
        envelope = _envelope(call, text, Kind.MESSAGE)
        refusal = allowed(call, needs("publish", [envelope.channel]), body=body)
        return refusal or _sent(_published(call, envelope))
    except BadMessageError as error:
        return _not_sent(call, error)


def sent_by_path(call: Call) -> web.Response | bytes:
    """As `sent`, with the message in the path."""
    try:
        return sent(call, _decoded(call.raw["message"]))
    except BadMessageError as error:
        return _not_sent(call, error)


def sent_by_body(call: Call, body: bytes, encoding: str = "") -> web.Response | bytes:
    """As `sent`, with the message in the body."""
    try:
        return sent(call, _text(body, encoding), body)
    except BadMessageError as error:
        return _not_sent(call, error)


async def publish(request: web.Request) -> web.StreamResponse:
    """GET and POST /publish/{pub}/{sub}/0/{channel}/0[/{message}]"""
    call = request[CALL]
    posted = call.method == "POST"
    response = sent_by_body(call, await request.read(), _encoding(request)) if posted else sent_by_path(call)
    return raw(response) if isinstance(response, bytes) else response


async def signal(request: web.Request) -> web.StreamResponse:
    """GET and POST /signal/{pub}/{sub}/0/{channel}/0[/{message}]"""
    call = request[CALL]
    try:
        posted = call.method == "POST"
        body = await request.read() if posted else b""
        text = _text(body, _encoding(request)) if posted else _decoded(call.raw["message"])
        _bounded(text, call.keyset.settings.max_signal_bytes, "Signal size too large")
        envelope = _envelope(call, text, Kind.SIGNAL)
        refusal = allowed(call, needs("signal", [envelope.channel]), body=body)
        return refusal or raw(_sent(call.keyset.publish(envelope)))
    except BadMessageError as error:
        return _not_sent(call, error)


async def time(request: web.Request) -> web.StreamResponse:
    """GET /time/0"""
    return raw(f"[{request[CLOCK].timetoken()}]".encode())


def _published(call: Call, envelope: Envelope) -> int:
    """Publish and return the timetoken for the response: the publisher's, if the request has one."""
    keyset = call.keyset
    deliver = keyset.settings.deliver_unreplicated or call.query.get("norep") not in ("1", "true")
    timetoken = keyset.publish(envelope, store=_stored(call), ttl_hours=_ttl(call), deliver=deliver)
    return timetoken if envelope.origin_timetoken is None else envelope.origin_timetoken


def _sent(timetoken: int) -> bytes:
    return f'[1,"Sent","{timetoken}"]'.encode()


def _not_sent(call: Call, error: BadMessageError) -> web.Response:
    return reply([0, str(error), str(call.keyset.clock.timetoken())], 400)


def _envelope(call: Call, text: str, kind: Kind) -> Envelope:
    """The envelope of a publish or signal request. Raises `BadMessageError`."""
    if call.raw["pub"] != call.keyset.publish_key:
        raise BadMessageError("Invalid Key")
    channel = call.name("channel")
    refusal = channel_error(channel, call.keyset.settings.max_name)
    if refusal is not None:
        raise BadMessageError(refusal)
    if too_long(call.uuid, call.keyset.settings.max_name):
        raise BadMessageError("Invalid UUID")
    query = call.query
    return Envelope(
        channel=channel,
        payload=_json(text, "Invalid JSON"),
        text=text,
        kind=kind,
        publisher=call.uuid,
        sequence=_sequence(query.get("seqn")),
        meta=_json(query["meta"], "Invalid meta") if query.get("meta") else None,
        custom_type=_custom_type(query.get("custom_message_type")),
        origin_timetoken=_origin_timetoken(query.get("ptto")),
    )


def _bounded(text: str, most: int, refusal: str) -> None:
    """Raises `BadMessageError` for a text of more than `most` bytes."""
    if len(text.encode()) > most:
        raise BadMessageError(refusal)


def _encoding(request: web.Request) -> str:
    return request.headers.get("Content-Encoding", "").lower()


def _text(body: bytes, encoding: str) -> str:
    """The posted text, decompressed if deflated. Raises `BadMessageError`."""
    try:
        return (inflated(body) if encoding == "deflate" else body).decode()
    except (UnicodeDecodeError, zlib.error):
        raise BadMessageError("Invalid JSON") from None


def inflated(body: bytes) -> bytes:
    """Decompress a deflated body, with or without a zlib header, up to 1 MiB. Raises `zlib.error`."""
    try:
        return zlib.decompressobj().decompress(body, _MAX_INFLATED_BYTES)
    except zlib.error:
        return zlib.decompressobj(-zlib.MAX_WBITS).decompress(body, _MAX_INFLATED_BYTES)


def _decoded(message: str) -> str:
    try:
        return unquote(message, errors="strict")
    except UnicodeDecodeError:
        raise BadMessageError("Invalid JSON") from None


def _json(text: str, refusal: str) -> Any:
    try:
        return strict_json.loads(text)
    except ValueError:
        raise BadMessageError(refusal) from None


def _sequence(value: str | None) -> int | None:
    return int(value) if value and value.isascii() and value.isdigit() and len(value) < 19 else None


def _custom_type(value: str | None) -> str | None:
    if not value:
        return None
    if not _CUSTOM_TYPE.fullmatch(value) or value.startswith(("pn_", "pn-")):
        raise BadMessageError("Invalid custom_message_type")
    return value


def _origin_timetoken(value: str | None) -> int | None:
    if not value:
        return None
    if not _TIMETOKEN.fullmatch(value):
        raise BadMessageError("Invalid ptto")
    return int(value)


def _stored(call: Call) -> bool:
    asked = call.query.get("store")
    return call.keyset.settings.store if asked is None else asked not in ("0", "false")


def _ttl(call: Call) -> int | None:
    """Hours to store the message; the Chat SDK sends the word `null`."""
    value = call.query.get("ttl") or "0"
    if value == "null":
        return None
    if not (value.isascii() and value.isdigit() and len(value) < 8):
        raise BadMessageError("Invalid ttl")
    return int(value)


ROUTES = [
    web.get("/publish/{pub}/{sub}/{signature}/{channel}/{callback}/{message:*}", publish),
    web.post("/publish/{pub}/{sub}/{signature}/{channel}/{callback}", publish),
    web.get("/signal/{pub}/{sub}/{signature}/{channel}/{callback}/{message:*}", signal),
    web.post("/signal/{pub}/{sub}/{signature}/{channel}/{callback}", signal),
    web.get("/time/{callback}", time),
]
