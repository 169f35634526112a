"""A cluster of two as a driver sees it: one Neo4j behind two doors, one of them a lagging replica.

A door passes Bolt on and knows four messages: it tells the driver to speak a version it can read, writes both doors
into the routing table, notes every query with its bookmarks, and as the replica answers a query that brings no bookmark
as a member would that has received nothing yet: without rows. With one it passes it on, as a member does that
has waited for it.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

from neo4j._codec.packstream import Structure
from neo4j._codec.packstream.v1 import PackableBuffer, Packer, UnpackableBuffer, Unpacker

VERSION = bytes((0, 4, 4, 5))
"""Bolt 5.4 to 5.0: versions without the newer handshake."""
RUN, SUCCESS = b"\x10", b"\x70"
NOTHING = "UNWIND [] AS nothing RETURN nothing"


@dataclass(frozen=True)
class Heard:
    """A query as received."""

    text: str
    bookmarks: tuple[str, ...]


@dataclass
class Door:
    """One address that a driver connects to, and the queries that it received."""

    lags: bool
    port: int = 0
    heard: list[Heard] = field(default_factory=list)


@dataclass
class Cluster:
    """The two doors."""

    target: tuple[str, int]
    leader: Door = field(default_factory=lambda: Door(lags=False))
    replica: Door = field(default_factory=lambda: Door(lags=True))

    @property
    def uri(self) -> str:
        """What a driver is given."""
        return f"neo4j://127.0.0.1:{self.leader.port}"

    def table(self) -> list[dict[str, Any]]:
        """The servers of a routing table: the leader routes and writes, the replica reads."""
        leader, replica = (f"127.0.0.1:{door.port}" for door in (self.leader, self.replica))
        roles = (("ROUTE", leader), ("WRITE", leader), ("READ", replica))
        return [{"role": role, "addresses": [address]} for role, address in roles]


@asynccontextmanager
async def lagging(host: str, port: int) -> AsyncIterator[Cluster]:
    """Both doors, open."""
    cluster = Cluster((host, port))
    servers = []
    for door in (cluster.leader, cluster.replica):
        server = await asyncio.start_server(_answers(cluster, door), "127.0.0.1", 0)
        door.port = server.sockets[0].getsockname()[1]
        servers.append(server)
    try:
        yield cluster
    finally:
        for server in servers:
            server.close()


def _answers(cluster: Cluster, door: Door) -> Callable[..., Any]:
    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, back = await asyncio.open_connection(*cluster.target)
        with suppress(asyncio.IncompleteReadError, ConnectionError):
            hello = await reader.readexactly(20)
            back.write(hello[:4] + VERSION + bytes(12))
            writer.write(await there.readexactly(4))
            await asyncio.gather(
                _pass(reader, back, lambda message: _asked(door, message)),
                _pass(there, writer, lambda message: _told(cluster, message)),
            )
        back.close()
        writer.close()

    return connected


async def _pass(
    source: asyncio.StreamReader, sink: asyncio.StreamWriter, changed: Callable[[bytes], bytes]
) -> None:
    """Message by message; a message is chunks of up to 65,535 bytes and an empty one (Bolt docs)."""
    try:
        while True:
            message = b""
            while size := int.from_bytes(await source.readexactly(2)):
                message += await source.readexactly(size)
            whole = changed(message) if message else message
            for start in range(0, len(whole), 0xFFFF):
                part = whole[start : start + 0xFFFF]
                sink.write(len(part).to_bytes(2) + part)
            sink.write(b"\0\0")
            await sink.drain()
    finally:
        sink.close()


def _asked(door: Door, message: bytes) -> bytes:
    if message[1:2] != RUN:
        return message
    text, parameters, extra = _unpacked(message).fields
    marks = tuple(extra.get("bookmarks") or ())
    door.heard.append(Heard(text, marks))
    if door.lags and not marks:
        return _packed(RUN, NOTHING, {}, extra)
    return _packed(RUN, text, parameters, extra)


def _told(cluster: Cluster, message: bytes) -> bytes:
    if message[1:2] != SUCCESS or b"\x82rt" not in message:
        return message
    (given,) = _unpacked(message).fields
    return _packed(SUCCESS, given | {"rt": given["rt"] | {"servers": cluster.table()}})


def _unpacked(message: bytes) -> Any:
    return Unpacker(UnpackableBuffer(message)).unpack()


def _packed(tag: bytes, *fields: Any) -> bytes:
    buffer = PackableBuffer()
    Packer(buffer).pack(Structure(tag, *fields))
    return bytes(buffer.data)
