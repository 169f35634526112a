"""Test presence: the doctor's own users join a channel that no real user is on, and leave at the end.

The channel is named like a shard beyond the last one, so Presence Management treats it like the shards.
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

TEST_USERS = 25
"""More than the 20 occupants up to which a new keyset announces each by name (PubNub docs: Announce Max)."""
TIMEOUT_SECONDS = 14.0
"""PubNub sends an interval event every 10 s (recorded)."""
HEARTBEAT_SECONDS = 20
"""The shortest presence timeout that PubNub accepts."""
MAX_TEXT_CHARACTERS = 200
_REQUEST_TIMEOUT = aiohttp.ClientTimeout(total=15)


@dataclass
class ProbeEvents:
    """Events of the probe's presence channel."""

    announced: set[str] = field(default_factory=set)
    named: set[str] = field(default_factory=set)
    """Users that an interval event named."""
    intervals: int = 0

    def add(self, body: Mapping[str, Any]) -> None:
        """Count one presence body."""
        if body.get("action") == "interval":
            self.intervals += 1
            self.named.update(body.get("join") or ())
        elif body.get("action") == "join":
            self.announced.add(str(body.get("uuid")))


class Probe:
    """Test users on a test channel."""

    def __init__(self, *, context: BridgeContext) -> None:
        self._context = context
        self.channel = context.shards.channel(context.shards.listened + 1000 + random.randrange(10_000))
        tag = secrets.token_hex(3)
        self.users = [f"friends-presence-doctor-{tag}-{number}" for number in range(TEST_USERS)]
        self._tokens: dict[str, str | None] = {}

    @classmethod
    @asynccontextmanager
    async def open(cls, context: BridgeContext) -> AsyncIterator[Probe]:
        """A probe whose users leave at the end."""
        probe = cls(context=context)
        try:
            yield probe
        finally:
            await asyncio.gather(
                *(probe._presence_call(one, "leave") for one in probe._tokens), return_exceptions=True
            )

    async def cursor(self) -> str:
        """The current position of the presence channel. Raises ProbeRefused."""
        return str((await self._listen("0"))["t"]["t"])

    async def join(self, users: Sequence[str]) -> None:
        """Make users present, with the shortest presence timeout. Raises ProbeRefused."""
        for one in users:
            self._tokens[one] = await self._token(one)
        await asyncio.gather(*(self._presence_call(one, "heartbeat") for one in users))

    async def listen(self, cursor: str, events: ProbeEvents, wanted: int) -> None:
        """Collect events until an interval event or `wanted` announcements, for `TIMEOUT_SECONDS` at most."""
        try:
            async with asyncio.timeout(TIMEOUT_SECONDS):
                while not events.intervals and len(events.announced) < wanted:
                    reply = await self._listen(cursor)
                    cursor = str(reply["t"]["t"])
                    for envelope in reply.get("m") or ():
                        if isinstance(envelope.get("d"), Mapping):
                            events.add(envelope["d"])
        except TimeoutError:
            pass

    async def open_without_token(self, channel: str) -> bool:
        """Whether a channel can be subscribed to without a token."""
        keyset = self._context.keyset
        url = f"{keyset.base}/v2/subscribe/{keyset.subscribe_key}/{quote(channel, safe='')}/0"
        query = {"tt": "0", "uuid": self.users[0]}
        async with self._context.http_session.get(url, params=query, timeout=_REQUEST_TIMEOUT) as response:
            return response.status == 200

    async def _token(self, user: str) -> str | None:
        if not self._context.settings.access_manager:
            return None
        return await self._context.pubnub.grant(1, user, Grant(read=(self.channel,)))

    async def _listen(self, cursor: str) -> Any:
        keyset = self._context.keyset
        query = {"tt": cursor, "uuid": keyset.uuid}
        path = f"v2/subscribe/{keyset.subscribe_key}/{quote(self.channel + '-pnpres', safe='')}/0"
        return await self._get(path, query, self._context.tokens.server_token())

    async def _presence_call(self, user: str, action: str) -> None:
        keyset = self._context.keyset
        path = f"v2/presence/sub-key/{keyset.subscribe_key}/channel/{quote(self.channel, safe='')}/{action}"
        await self._get(path, {"uuid": user, "heartbeat": str(HEARTBEAT_SECONDS)}, self._tokens.get(user))

    async def _get(self, path: str, query: dict[str, str], token: str | None) -> Any:
        params = query | ({"auth": token} if token else {})
        url = f"{self._context.keyset.base}/{path}"
        async with self._context.http_session.get(url, params=params, timeout=_REQUEST_TIMEOUT) as response:
            text = await response.text()
            if response.status != 200:
                raise ProbeRefused(f"{response.status} {text[:MAX_TEXT_CHARACTERS]}")
            return json.loads(text)


class ProbeRefused(Exception):
    """PubNub rejected a request of the probe; the text is its response."""
