"""Presence as the doctor's own people cause it: on a channel that no user has, left again at the end. Knows HTTP only.

The channel is named like a shard beyond the last one, so that Presence Management treats it as it treats the shards.
"""

from __future__ import annotations

import asyncio
import json
import random
import secrets
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

import aiohttp

from pubnub_bridge.pubnub_api.sdk import Grant
from pubnub_bridge.runtime.context import BridgeContext

PEOPLE = 25
"""More than the 20 occupants up to which a new keyset announces each by name (PubNub docs: Announce Max)."""
TIMEOUT_SECONDS = 14.0
"""Seconds: an interval event comes every 10 s (recorded)."""
_TIMEOUT = aiohttp.ClientTimeout(total=15)


@dataclass
class ProbeEvents:
    """What the presence channel told of the probe."""

    announced: set[str] = field(default_factory=set)
    named: set[str] = field(default_factory=set)
    """People that an interval event named."""
    intervals: int = 0

    def take(self, body: Mapping[str, Any]) -> None:
        """One presence body."""
        if body.get("action") == "interval":
            self.intervals += 1
            self.named.update(body.get("join") or ())
        elif body.get("action") == "join":
            self.announced.add(str(body.get("uuid")))


class Probe:
    """People of ours on a channel of ours."""

    def __init__(self, context: BridgeContext) -> None:
        self._side = context
        self.channel = context.shards.channel(context.shards.listened + 1000 + random.randrange(10_000))
        tag = secrets.token_hex(3)
        self.people = [f"friends-presence-doctor-{tag}-{number}" for number in range(PEOPLE)]
        self._tokens: dict[str, str | None] = {}

    @classmethod
    @asynccontextmanager
    async def open(cls, context: BridgeContext) -> AsyncIterator[Probe]:
        """A probe; its people leave at the end."""
        probe = cls(context)
        try:
            yield probe
        finally:
            await asyncio.gather(
                *(probe._visit(one, "leave") for one in probe._tokens), return_exceptions=True
            )

    async def cursor(self) -> str:
        """Begin to listen. Raises ProbeRefused."""
        return str((await self._listen("0"))["t"]["t"])

    async def join(self, people: Sequence[str]) -> None:
        """These people are present from now on, for the shortest time there is. Raises ProbeRefused."""
        for one in people:
            self._tokens[one] = await self._token(one)
        await asyncio.gather(*(self._visit(one, "heartbeat") for one in people))

    async def listen(self, cursor: str, heard: ProbeEvents, wanted: int) -> None:
        """Listen until an interval came or so many were announced, for `PATIENCE` at most."""
        try:
            async with asyncio.timeout(TIMEOUT_SECONDS):
                while not heard.intervals and len(heard.announced) < wanted:
                    reply = await self._listen(cursor)
                    cursor = str(reply["t"]["t"])
                    for envelope in reply.get("m") or ():
                        if isinstance(envelope.get("d"), Mapping):
                            heard.take(envelope["d"])
        except TimeoutError:
            pass

    async def open_without_token(self, channel: str) -> bool:
        """Whether a stranger without a token may listen on a channel."""
        keyset = self._side.keyset
        url = f"{keyset.base}/v2/subscribe/{keyset.subscribe_key}/{quote(channel, safe='')}/0"
        query = {"tt": "0", "uuid": self.people[0]}
        async with self._side.http_session.get(url, params=query, timeout=_TIMEOUT) as reply:
            return reply.status == 200

    async def _token(self, user: str) -> str | None:
        if not self._side.settings.access_manager:
            return None
        return await self._side.pubnub.grant(1, user, Grant(read=(self.channel,)))

    async def _listen(self, cursor: str) -> Any:
        keyset = self._side.keyset
        query = {"tt": cursor, "uuid": keyset.uuid}
        path = f"v2/subscribe/{keyset.subscribe_key}/{quote(self.channel + '-pnpres', safe='')}/0"
        return await self._get(path, query, self._side.tokens.server_token())

    async def _visit(self, user: str, action: str) -> None:
        keyset = self._side.keyset
        path = f"v2/presence/sub-key/{keyset.subscribe_key}/channel/{quote(self.channel, safe='')}/{action}"
        await self._get(path, {"uuid": user, "heartbeat": "20"}, self._tokens.get(user))

    async def _get(self, path: str, query: dict[str, str], token: str | None) -> Any:
        given = query | ({"auth": token} if token else {})
        url = f"{self._side.keyset.base}/{path}"
        async with self._side.http_session.get(url, params=given, timeout=_TIMEOUT) as reply:
            text = await reply.text()
            if reply.status != 200:
                raise ProbeRefused(f"{reply.status} {text[:200]}")
            return json.loads(text)


class ProbeRefused(Exception):
    """PubNub did not take a call of the probe; the text is its answer."""
