"""Fast path for the requests that make up the load: subscribe, publish, signal, presence and time by GET, publish by
POST.

Every connection begins here. Complete requests of these kinds are handled without a task, a parser object or a request
object for each: an open poll takes a quarter of the memory, a publish a third of the time. The first request of any
other kind, or with a header that changes how HTTP is spoken, hands the connection over to aiohttp permanently. The
handlers are the same on both paths.
"""

from __future__ import annotations

import asyncio
import os
import re
import socket
from collections import deque
from typing import Any, NamedTuple, Protocol, cast

import structlog
from aiohttp import web

from local_stack.origin.call import Call, parsed_query
from local_stack.origin.channels import Waiter
from local_stack.origin.clock import Clock
from local_stack.origin.keyset import Keyset
from local_stack.origin.publish import sent_by_body, sent_by_path
from local_stack.origin.reply import Family
from local_stack.origin.subscribe import MAX_TIMETOKEN_DIGITS, PendingPoll, Subscription, understood

_log = structlog.get_logger(__name__)

MAX_HEAD_BYTES = 32 * 1024
"""Longer requests are handed over to aiohttp, which rejects those that are too long."""

MAX_BUFFERED_BYTES = 1 << 20
"""Limit of what may arrive while a poll is open; a client that sends more is disconnected."""

MAX_BODY_BYTES = 64 * 1024
"""Limit of a posted message. No message may be as long; longer requests are handed over to aiohttp, which rejects them."""

MAX_POLLS_PER_TURN = 50
"""Open polls served in one turn of the event loop: a message to thousands must not delay other requests."""

_FAST = (b"GET /v2/subscribe/", b"GET /publish/", b"GET /signal/", b"GET /v2/presence/", b"GET /time/")
_POSTED = b"POST /publish/"
_PREFIXES = (*_FAST, _POSTED)
_LONGEST = max(map(len, _PREFIXES))
_SPECIAL = re.compile(
    rb"\r\n(?:transfer-encoding|expect|upgrade|content-encoding|"
    rb"connection[ \t]*:(?![ \t]*keep-alive[ \t]*\r\n))",
    re.IGNORECASE,
)
_LENGTH = re.compile(rb"\r\ncontent-length[ \t]*:[ \t]*([0-9]{1,6})?", re.IGNORECASE)
_HEAD = (
    "HTTP/1.1 200 OK\r\n"
    f"Content-Type: {Family.MESSAGES.value[1]}\r\n"
    "Cache-Control: no-cache\r\n"
    "Access-Control-Allow-Origin: *\r\n"
    f"Access-Control-Allow-Methods: {Family.MESSAGES.value[2]}\r\n"
    "Access-Control-Allow-Credentials: true\r\n"
    "Access-Control-Expose-Headers: *\r\n"
    "Content-Length: %d\r\n\r\n"
).encode()


class Serving(Protocol):
    """What a lane uses of the origin."""

    clock: Clock
    keysets: dict[str, Keyset]
    errors: int

    async def handle(self, request: web.Request) -> web.StreamResponse: ...


class Lanes:
    """All connections on the fast path, and aiohttp's server for the others."""

    def __init__(self, origin: Serving, server: web.Server) -> None:
        self.origin = origin
        self.server = server
        self.lanes: set[Lane] = set()
        self._woken: deque[Lane] = deque()
        self._turning = False

    def open(self) -> Lane:
        return Lane(self)

    def wake(self, lane: Lane) -> None:
        """Schedule `lane`'s check for the next turn: what else is published in this one goes into the same response."""
        self._woken.append(lane)
        self._turn_soon()

    def _turn_soon(self) -> None:
        if self._woken and not self._turning:
            self._turning = True
            asyncio.get_running_loop().call_soon(self._turn)

    def _turn(self) -> None:
        self._turning = False
        try:
            for _ in range(min(MAX_POLLS_PER_TURN, len(self._woken))):
                self._woken.popleft().check()
        finally:
            self._turn_soon()

    async def close(self) -> None:
        for lane in list(self.lanes):
            lane.end()
        self.server.pre_shutdown()
        await self.server.shutdown(0.5)


class Lane(asyncio.Protocol):
    """One connection: responds to requests in order; buffers what arrives while a poll is open."""

    __slots__ = ("_buffer", "_lanes", "_looking", "_pending", "_repeated", "_transport", "_waiter", "_woken")

    def __init__(self, lanes: Lanes) -> None:
        self._lanes = lanes
        self._transport: asyncio.Transport | None = None
        self._buffer = b""
        self._pending: PendingPoll | None = None
        self._repeated: _RepeatedPoll | None = None
        self._waiter: Waiter | None = None
        self._woken = True
        self._looking = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._lanes.lanes.add(self)

    def connection_lost(self, exc: Exception | None) -> None:
        """Asyncio's call: an open poll ends with its connection."""
        self._lanes.lanes.discard(self)
        self._transport = None
        pending, self._pending = self._pending, None
        if pending is not None:
            self._unwait(pending)
            pending.closed()

    def data_received(self, data: bytes) -> None:
        self._buffer = self._buffer + data if self._buffer else data
        if len(self._buffer) > MAX_BUFFERED_BYTES:
            self.end()
        else:
            self._advance()

    def end(self) -> None:
        if self._transport is not None:
            self._transport.abort()

    def _advance(self) -> None:
        """Handle complete requests, until a poll is pending or the connection is handed over."""
        while self._buffer and self._pending is None and self._transport is not None:
            end = self._buffer.find(b"\r\n\r\n")
            if end < 0 and len(self._buffer) < MAX_HEAD_BYTES and self._promising():
                return
            asked = None if end < 0 or end > MAX_HEAD_BYTES else self._parsed_head(self._buffer[: end + 2])
            whole = end + 4 + (asked.length if asked else 0)
            if len(self._buffer) < whole:
                return
            response = None if asked is None else self._tried(asked, self._buffer[end + 4 : whole])
            if response is None:
                self._hand_over()
                return
            self._buffer = self._buffer[whole:]
            self._give(response)

    def _promising(self) -> bool:
        """Whether the incomplete request may be one for the fast path."""
        start = self._buffer[:_LONGEST]
        return any(fast.startswith(start) or start.startswith(fast) for fast in _PREFIXES)

    def _parsed_head(self, head: bytes) -> _ParsedHead | None:
        """Parse a head; most repeat the one before with another cursor, which is recognized without parsing."""
        repeated = self._repeated
        if repeated is not None and (timetoken := repeated.cursor(head)) is not None:
            keyset = repeated.subscription.poll.keyset
            if not keyset.faults.rules and self._lanes.origin.keysets.get(keyset.subscribe_key) is keyset:
                return _ParsedHead(head, "GET", "", 0, timetoken)
        return _parsed_head(head)

    def _tried(self, asked: _ParsedHead, body: bytes) -> web.Response | bytes | PendingPoll | None:
        """As `_response`; after a defect of the origin the request goes to aiohttp's path, which reports it."""
        try:
            return self._response(asked, body)
        except Exception:  # noqa: BLE001 - see above
            self._lanes.origin.errors += 1
            _log.exception("origin.fast_path.failed", path=asked.target)
            return None

    def _response(self, asked: _ParsedHead, body: bytes) -> web.Response | bytes | PendingPoll | None:
        """The response to a request, None where it is not for the fast path."""
        if asked.timetoken is not None and self._repeated is not None:
            now = self._lanes.origin.clock.now
            return self._repeated.subscription.again(asked.timetoken, now, self._hung_up)
        path, _, query = asked.target.partition("?")
        segments = path.split("/")
        if asked.method == "POST":
            call = self._call(asked, query, segments, _POST)
            return None if call is None else sent_by_body(call, body)
        if segments[1] == "publish":
            call = self._call(asked, query, segments, _PUBLISH)
            return None if call is None else sent_by_path(call)
        if segments[2] == "subscribe":
            call = self._call(asked, query, segments, _SUBSCRIBE)
            return None if call is None else self._opened(call, asked.head)
        return self._driven(asked.target)

    def _opened(self, call: Call, head: bytes) -> web.Response | bytes | PendingPoll:
        found = understood(call)
        if not isinstance(found, Subscription):
            return found
        self._repeated = _RepeatedPoll.of(head, found)
        return found.begun(found.timetoken, self._hung_up)

    def _hung_up(self) -> bool:
        """Whether the client has closed the connection since: a client that has gone must not join.

        A busy origin can read a poll after the leave that its client sent later, on another connection.
        """
        if self._transport is None:
            return True
        with socket.socket(fileno=os.dup(self._transport.get_extra_info("socket").fileno())) as looked_at:
            try:
                return not looked_at.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT)
            except BlockingIOError:
                return False
            except OSError:
                return True

    def _call(
        self, asked: _ParsedHead, query: str, segments: list[str], names: tuple[str, ...]
    ) -> Call | None:
        """The parsed call, or None where path, key or a fault needs the other path."""
        if len(segments) != len(names) or not all(segments[1:]):
            return None
        raw = dict(zip(names, segments, strict=True))
        keyset = self._lanes.origin.keysets.get(raw["sub"])
        if keyset is None or keyset.faults.rules:
            return None
        pairs = parsed_query(query)
        return Call(keyset, self._lanes.origin.clock.now, asked.method, asked.target, raw, pairs, dict(pairs))

    def _driven(self, target: str) -> web.Response | None:
        """Run the origin's handler synchronously: these never wait, unless a fault makes them."""
        if any(keyset.faults.rules for keyset in self._lanes.origin.keysets.values()):
            return None
        handling = self._lanes.origin.handle(cast("web.Request", _MinimalRequest(target)))
        try:
            handling.send(None)
        except StopIteration as done:
            return cast("web.Response", done.value)
        handling.close()
        return None

    def _give(self, response: web.Response | bytes | PendingPoll) -> None:
        if isinstance(response, PendingPoll):
            self._pending = response
            self._waiter = response.waiter(self._wake)
        elif isinstance(response, bytes):
            self._write(_HEAD % len(response) + response)
        else:
            self._write(_serialized(response))

    def _wake(self, came: bool) -> None:
        self._woken = came
        if not self._looking:
            self._looking = True
            self._lanes.wake(self)

    def check(self) -> None:
        """Respond to the open poll, if there is something for it."""
        self._looking = False
        pending, waiter = self._pending, self._waiter
        if pending is None or waiter is None:
            return
        body = pending.response(ended=not self._woken)
        if body is not None:
            self._unwait(pending)
            self._pending = None
            self._give(body)
            self._advance()
        elif pending.must_wait_elsewhere(waiter):
            self._unwait(pending)
            self._waiter = pending.waiter(self._wake)

    def _unwait(self, pending: PendingPoll) -> None:
        if self._waiter is not None:
            pending.poll.keyset.channels.leave(self._waiter)
            self._waiter = None

    def _write(self, data: bytes) -> None:
        if self._transport is not None:
            self._transport.write(data)

    def _hand_over(self) -> None:
        """Hand the connection over to aiohttp."""
        transport, self._transport = self._transport, None
        if transport is None:
            return
        self._lanes.lanes.discard(self)
        handler = self._lanes.server()
        transport.set_protocol(handler)
        handler.connection_made(transport)
        handler.data_received(self._buffer)
        self._buffer = b""


_PUBLISH = ("", "family", "pub", "sub", "signature", "channel", "callback", "message")
_POST = _PUBLISH[:-1]
_SUBSCRIBE = ("", "version", "family", "sub", "channels", "callback")


class _ParsedHead(NamedTuple):
    """The parsed head of a request."""

    head: bytes
    method: str
    target: str
    length: int
    """Content length in bytes."""
    timetoken: int | None = None
    """The cursor of a poll that otherwise repeats the one before; the other fields are then unused."""


class _RepeatedPoll(NamedTuple):
    """A poll that may be repeated: its head before and after the cursor, and its subscription."""

    before: bytes
    after: bytes
    subscription: Subscription

    @classmethod
    def of(cls, head: bytes, subscription: Subscription) -> _RepeatedPoll | None:
        """None for a poll whose meaning can change, or whose cursor cannot be located."""
        at = head.find(b"&tt=") + 4
        if at < 4 or head.count(b"tt=") > 1 or not subscription.lasting:
            return None
        before, rest = head[:at], head[at:]
        return cls(before, rest.lstrip(b"0123456789"), subscription)

    def cursor(self, head: bytes) -> int | None:
        """The cursor of a head that is otherwise equal, else None."""
        if not (head.startswith(self.before) and head.endswith(self.after)):
            return None
        digits = head[len(self.before) : len(head) - len(self.after)]
        return int(digits) if digits.isdigit() and len(digits) <= MAX_TIMETOKEN_DIGITS else None


class _MinimalRequest(dict[Any, Any]):
    """The part of aiohttp's request that a handler of a plain GET uses."""

    method = "GET"

    def __init__(self, target: str) -> None:
        super().__init__()
        self.raw_path = self.path = target

    async def read(self) -> bytes:
        return b""


def _parsed_head(head: bytes) -> _ParsedHead | None:
    """A plain request for the fast path, None for any other."""
    posted = head.startswith(_POSTED)
    if not (posted or head.startswith(_FAST)) or _SPECIAL.search(head):
        return None
    lengths = _LENGTH.findall(head)
    if len(lengths) != posted or (posted and not 0 < int(lengths[0] or 0) <= MAX_BODY_BYTES):
        return None
    line = head[: head.index(b"\r\n")].split(b" ")
    if len(line) != 3 or line[2] != b"HTTP/1.1" or not line[1].isascii():
        return None
    return _ParsedHead(head, line[0].decode(), line[1].decode(), int(lengths[0]) if posted else 0)


def _serialized(response: web.Response) -> bytes:
    """The bytes of a complete response."""
    body = cast("bytes", response.body or b"")
    head = "".join(
        f"{name}: {value}\r\n" for name, value in response.headers.items() if name != "Content-Length"
    )
    line = f"HTTP/1.1 {response.status} {response.reason}\r\n"
    return f"{line}{head}Content-Length: {len(body)}\r\n\r\n".encode() + body
