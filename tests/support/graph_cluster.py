"""A cluster of two as a driver sees it: one Neo4j behind two Bolt proxies, one of them a lagging replica.

A proxy forwards Bolt and changes four messages: it negotiates a version that it can parse, writes both proxies into
the routing table, and records every query with its bookmarks. As the replica it responds to a query without bookmarks
like a member that has not received the write yet: without rows. A query with a bookmark is forwarded, as by a member
that has waited for it.
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
NO_ROWS = "UNWIND [] AS nothing RETURN nothing"


@dataclass(frozen=True)
class ReceivedQuery:
    """A query as received."""

    text: str
    bookmarks: tuple[str, ...]


@dataclass
class Proxy:
    """One address that a driver connects to, and the queries that it received."""

    lags: bool
    port: int = 0
    queries: list[ReceivedQuery] = field(default_factory=list)


@dataclass
class Cluster:
    """Both proxies."""

    target: tuple[str, int]
    leader: Proxy = field(default_factory=lambda: Proxy(lags=False))
    replica: Proxy = field(default_factory=lambda: Proxy(lags=True))

    @property
    def uri(self) -> str:
        """For the driver."""
        return f"neo4j://127.0.0.1:{self.leader.port}"

    def table(self) -> list[dict[str, Any]]:
        """The servers of a routing table: the leader routes and writes, the replica reads."""
        leader, replica = (f"127.0.0.1:{proxy.port}" for proxy in (self.leader, self.replica))
        roles = (("ROUTE", leader), ("WRITE", leader), ("READ", replica))
        return [{"role": role, "addresses": [address]} for role, address in roles]


@asynccontextmanager
async def lagging(host: str, port: int) -> AsyncIterator[Cluster]:
    """Both proxies, listening."""
    cluster = Cluster((host, port))
    servers = []
    for proxy in (cluster.leader, cluster.replica):
        server = await asyncio.start_server(_forwarding(cluster, proxy), "127.0.0.1", 0)
        proxy.port = server.sockets[0].getsockname()[1]
        servers.append(server)
    try:
        yield cluster
    finally:
        for server in servers:
            server.close()


def _forwarding(cluster: Cluster, proxy: Proxy) -> Callable[..., Any]:
    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        server_reader, server_writer = await asyncio.open_connection(*cluster.target)
        with suppress(asyncio.IncompleteReadError, ConnectionError):
            hello = await reader.readexactly(20)
            server_writer.write(hello[:4] + VERSION + bytes(12))
            writer.write(await server_reader.readexactly(4))
            await asyncio.gather(
                _forward(reader, server_writer, lambda message: _request(proxy, message)),
                _forward(server_reader, writer, lambda message: _response(cluster, message)),
            )
        server_writer.close()
        writer.close()

    return connected


async def _forward(
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


def _request(proxy: Proxy, message: bytes) -> bytes:
    if message[1:2] != RUN:
        return message
    text, parameters, extra = _unpacked(message).fields
    bookmarks = tuple(extra.get("bookmarks") or ())
    proxy.queries.append(ReceivedQuery(text, bookmarks))
    if proxy.lags and not bookmarks:
        return _packed(RUN, NO_ROWS, {}, extra)
    return _packed(RUN, text, parameters, extra)


def _response(cluster: Cluster, message: bytes) -> bytes:
    if message[1:2] != SUCCESS or b"\x82rt" not in message:
        return message
    (fields,) = _unpacked(message).fields
    return _packed(SUCCESS, fields | {"rt": fields["rt"] | {"servers": cluster.table()}})


def _unpacked(message: bytes) -> Any:
    return Unpacker(UnpackableBuffer(message)).unpack()


def _packed(tag: bytes, *fields: Any) -> bytes:
    buffer = PackableBuffer()
    Packer(buffer).pack(Structure(tag, *fields))
    return bytes(buffer.data)
