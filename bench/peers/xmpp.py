"""One person's XMPP client, cheaply: log in, available, unavailable. Knows the stanzas; no XML parser, no server.

A turn's number stands in the presence's status, so that each friend who gets the stanza tells which turn it is of. What
a server sends to someone who just came about friends who were there before carries a delay (XEP-0203), and is told
apart by it.
"""

from __future__ import annotations

import asyncio
import base64
import re
from collections.abc import Callable

from bench.peers.arrivals import Arrivals
from bench.peers.system import NOWHERE
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
    """What stands in the status."""
    return b"-" if number == NOWHERE else b"~%d~" % number


class Ears:
    """What all clients tell of what they hear."""

    def __init__(self, arrivals: Arrivals, now: Callable[[], float]) -> None:
        self.arrivals = arrivals
        self.views: Views | None = None
        self.now = now
        self.stanzas = self.replies = 0
        """Presences heard, and those of them that told a newcomer what was so before."""
        self.lost = 0
        """Connections that ended without being asked to."""


class Client(asyncio.Protocol):
    """One session. `generation` is its resource, other in each login of a storm."""

    def __init__(self, ears: Ears, person: int, generation: int, number: int) -> None:
        self.ready: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._ears, self._person, self._generation, self._number = ears, person, generation, number
        self._transport: asyncio.Transport | None = None
        self._buffer = b""
        self._step = 0
        self._over = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Asyncio's call: the stream begins, with the password at once."""
        self._transport = transport  # type: ignore[assignment]
        self._write(STREAM + AUTH % base64.b64encode(b"\0u%d\0pw" % self._person))

    def connection_lost(self, exc: Exception | None) -> None:
        """Asyncio's call."""
        if not self.ready.done():
            self.ready.set_exception(ConnectionResetError(f"the login ended at step {self._step}: {exc}"))
        elif not self._over:
            self._ears.lost += 1

    def data_received(self, data: bytes) -> None:
        """Asyncio's call."""
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
        at = self._ears.now()
        if self._ears.views is not None:
            whole, end, self._buffer = self._buffer.rpartition(b">")
            self._view(self._ears.views, whole + end, at)
            return
        *parts, self._buffer = self._buffer.split(END)
        heard = self._ears.arrivals.heard
        self._ears.stanzas += len(parts)
        for part in parts:
            if b"<delay" in part:
                self._ears.replies += 1
            elif (found := MARK.search(part)) and b"from='u%d@" % self._person not in part:
                heard(int(found[1]), self._person, at)

    def _view(self, views: Views, data: bytes, at: float) -> None:
        view = views.look(self._person)
        if view is None:
            return
        for found in PRESENCE.finditer(data):
            self._ears.stanzas += 1
            friend = int(found[1])
            if int(found[2]) == self._generation and friend != self._person:
                gone = b"type='unavailable'" in found[0]
                (view.online.discard if gone else view.online.add)(friend)
        views.judge(self._person, at)

    def go(self, number: int = NOWHERE) -> None:
        """Unavailable, the end of the stream, and closed."""
        self._over = True
        if self._transport:
            self._write(GONE % mark(number))
            self._transport.close()

    def drop(self) -> None:
        """The connection ends without a word."""
        self._over = True
        if self._transport:
            self._transport.abort()

    def _write(self, data: bytes) -> None:
        assert self._transport
        self._transport.write(data)
