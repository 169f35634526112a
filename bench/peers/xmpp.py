"""A cheap XMPP client: log in, available, unavailable. Matches stanzas without an XML parser.

The status of a presence contains the number of the transition, so that a recipient identifies it. Presences that a server
sends to a newcomer about friends who were online before carry a delay (XEP-0203) and are counted separately.
"""

from __future__ import annotations

import asyncio
import base64
import re
from collections.abc import Callable

from bench.peers.arrivals import Arrivals
from bench.peers.system import NOT_IN_TRACE
from bench.peers.views import Views

STREAM = (
    b"<?xml version='1.0'?><stream:stream to='localhost' version='1.0' xmlns='jabber:client' "
    b"xmlns:stream='http://etherx.jabber.org/streams'>"
)
AUTH = b"<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'>%s</auth>"
BIND = b"<iq type='set' id='b'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'><resource>g%d</resource></bind></iq>"
HERE = b"<presence><status>%s</status></presence>"
GONE = b"<presence type='unavailable'><status>%s</status></presence></stream:stream>"
END = b"</presence>"
MARK = re.compile(rb"~(\d+)~")
PRESENCE = re.compile(rb"<presence[^>]*from='u(\d+)@localhost/g(\d+)'[^>]*>")


def mark(number: int) -> bytes:
    """The status text for a transition."""
    return b"-" if number == NOT_IN_TRACE else b"~%d~" % number


class StanzaListener:
    """Counts the stanzas of all clients."""

    def __init__(self, arrivals: Arrivals, now: Callable[[], float]) -> None:
        self.arrivals = arrivals
        self.views: Views | None = None
        self.now = now
        self.stanzas = self.replies = 0
        """Received presences, and those of them that a newcomer received about earlier joins."""
        self.lost = 0
        """Connections that the server closed."""


class Client(asyncio.Protocol):
    """One session. `generation` is its resource, which differs in each login of a storm."""

    def __init__(self, *, listener: StanzaListener, user: int, generation: int, number: int) -> None:
        self.ready: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._listener, self._user, self._generation, self._number = listener, user, generation, number
        self._transport: asyncio.Transport | None = None
        self._buffer = b""
        self._step = 0
        self._over = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Open the stream and send the password at once."""
        self._transport = transport  # type: ignore[assignment]
        self._write(STREAM + AUTH % base64.b64encode(b"\0u%d\0pw" % self._user))

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.ready.done():
            self.ready.set_exception(ConnectionResetError(f"the login ended at step {self._step}: {exc}"))
        elif not self._over:
            self._listener.lost += 1

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        if self._step < 2:
            self._login()
        if self._step == 2 and self._buffer:
            self._listen()

    def _login(self) -> None:
        if b"<failure" in self._buffer or b"<stream:error" in self._buffer:
            self.drop()
            if not self.ready.done():
                self.ready.set_exception(ConnectionRefusedError(self._buffer[-200:].decode(errors="replace")))
        elif self._step == 0 and b"<success" in self._buffer:
            self._step, self._buffer = 1, b""
            self._write(STREAM + BIND % self._generation)
        elif self._step == 1 and b"</iq>" in self._buffer:
            self._step, self._buffer = 2, self._buffer.partition(b"</iq>")[2]
            self._write(HERE % mark(self._number))
            if not self.ready.done():
                self.ready.set_result(None)

    def _listen(self) -> None:
        at = self._listener.now()
        if self._listener.views is not None:
            whole, end, self._buffer = self._buffer.rpartition(b">")
            self._view(self._listener.views, whole + end, at)
            return
        *parts, self._buffer = self._buffer.split(END)
        delivered = self._listener.arrivals.delivered
        self._listener.stanzas += len(parts)
        for part in parts:
            if b"<delay" in part:
                self._listener.replies += 1
            elif (found := MARK.search(part)) and b"from='u%d@" % self._user not in part:
                delivered(int(found[1]), self._user, at)

    def _view(self, views: Views, data: bytes, at: float) -> None:
        view = views.view_of(self._user)
        if view is None:
            return
        for found in PRESENCE.finditer(data):
            self._listener.stanzas += 1
            friend = int(found[1])
            if int(found[2]) == self._generation and friend != self._user:
                gone = b"type='unavailable'" in found[0]
                (view.online.discard if gone else view.online.add)(friend)
        views.judge(self._user, at)

    def leave(self, number: int = NOT_IN_TRACE) -> None:
        """Send unavailable and the end of the stream, and close."""
        self._over = True
        if self._transport:
            self._write(GONE % mark(number))
            self._transport.close()

    def drop(self) -> None:
        """Close the connection without a leave."""
        self._over = True
        if self._transport:
            self._transport.abort()

    def _write(self, data: bytes) -> None:
        assert self._transport
        self._transport.write(data)
