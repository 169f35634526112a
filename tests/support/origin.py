"""Plain HTTP requests to a local origin on a free port."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

import aiohttp
from yarl import URL

from local_stack.origin.app import Running

START = 1_700_000_000.0
"""The virtual clock at the start of a test, in Unix seconds."""


@dataclass(frozen=True)
class Reply:
    """A response: status, JSON and headers."""

    status: int
    body: Any
    headers: Any
    text: str


class OriginHttp:
    """Requests to one running origin with the keys demo, demo and the secret sec."""

    def __init__(
        self, *, running: Running, session: aiohttp.ClientSession, control: aiohttp.ClientSession
    ) -> None:
        self.running = running
        self.keyset = running.origin.keysets["demo"]
        self.clock = running.origin.clock
        self._session = session
        self._control = control

    async def call(self, path: str, method: str = "GET", **options: Any) -> Reply:
        """Send exactly this path, without encoding it."""
        url = URL(f"http://127.0.0.1:{self.running.port}{path}", encoded=True)
        # A connection is handed over to aiohttp permanently by a control request or a body.
        session = self._control if method != "GET" or path.startswith("/_control") else self._session
        async with session.request(method, url, **options) as answer:
            text = await answer.text()
            return Reply(answer.status, json.loads(text) if text else None, answer.headers, text)

    async def subscribe(self, channels: str, tt: int | str = 0, uuid: str = "", **query: str) -> Reply:
        """One subscribe request; `channels` as in the path."""
        parameters = {"tt": str(tt), **({"uuid": uuid} if uuid else {}), **query}
        text = "&".join(f"{name}={quote(value, safe='')}" for name, value in parameters.items())
        return await self.call(f"/v2/subscribe/demo/{channels}/0?{text}")

    async def cursor(self, channels: str, uuid: str = "", **query: str) -> int:
        """The cursor of a handshake."""
        return int((await self.subscribe(channels, 0, uuid, **query)).body["t"]["t"])

    async def publish(self, channel: str, message: Any, query: str = "uuid=pub") -> Reply:
        text = quote(json.dumps(message, separators=(",", ":")), safe="")
        return await self.call(f"/publish/demo/demo/0/{quote(channel, safe='')}/0/{text}?{query}")

    async def control(self, path: str, method: str = "GET", body: Any = None) -> Any:
        """A control request that must succeed."""
        reply = await self.call(f"/_control{path}", method, data=None if body is None else json.dumps(body))
        assert reply.status == 200, reply.text
        return reply.body

    async def advance(self, seconds: float) -> None:
        await self.control("/clock", "POST", {"advance": seconds})

    async def polls(self, number: int) -> None:
        """Wait until `number` polls are open."""
        while self.keyset.channels.waiters != number:  # noqa: ASYNC110 - the origin announces no poll
            await asyncio.sleep(0.001)


def payloads(reply: Reply) -> list[Any]:
    """The payloads of a subscribe reply."""
    return [envelope["d"] for envelope in reply.body["m"]]
