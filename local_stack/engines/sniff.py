"""Identify the product that listens at an address by the first bytes of its reply, for error messages.

Sources: Bolt handshake (Neo4j Bolt protocol documentation), RESP replies (Valkey protocol), HTTP status line.
"""

from __future__ import annotations

import asyncio
from urllib.parse import urlsplit

BOLT_HELLO = bytes.fromhex("6060b017 00000405 00000000 00000000 00000000")
"""Magic number, then version 5.4 as the only one offered."""
REPLY_TIMEOUT_SECONDS = 2.0


async def sniff(address: str, port: int) -> str | None:
    """A readable name of what listens at a URL's host and port (`port` is the default), or None when nothing does."""
    parts = urlsplit(address)
    where = (parts.hostname or "127.0.0.1", parts.port or port)
    first = await _reply(*where, BOLT_HELLO)
    if first is None:
        return None
    if len(first) == 4 and first[:2] == b"\0\0":
        return "Neo4j, or another server that speaks Bolt,"
    return _named(first) or _named(await _reply(*where, b"PING\r\n") or b"") or "an unknown server"


def _named(reply: bytes) -> str | None:
    if reply.startswith(b"HTTP/"):
        return "a web server (HTTP)"
    if reply.startswith((b"+PONG", b"-NOAUTH", b"-ERR", b"-DENIED", b"-NOPERM")):
        return "Valkey or Redis"
    return None


async def _reply(host: str, port: int, hello: bytes) -> bytes | None:
    """The first bytes of the reply; empty when the server sends nothing, None when nothing listens."""
    try:
        async with asyncio.timeout(REPLY_TIMEOUT_SECONDS):
            reader, writer = await asyncio.open_connection(host, port)
    except (OSError, TimeoutError):
        return None
    try:
        async with asyncio.timeout(REPLY_TIMEOUT_SECONDS):
            writer.write(hello)
            return await reader.read(64)
    except (OSError, TimeoutError):
        return b""
    finally:
        writer.close()
