"""The subscribe loop (row 1 of the walk): one long poll for the shards of one partition. Knows HTTP and the log.

Only ``-pnpres`` names are subscribed to, so the loop is an occupant of nothing and no App Context event can reach
it. The cursor moves on only once what was read stands in the log (PubNub docs: subscribe v2, presence events).
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import quote

import aiohttp
import structlog

from graph_service.errors import QueueUnavailable, Unavailable
from graph_service.shard import ShardMap
from pubnub_bridge.log import Cursor, Log
from pubnub_bridge.pool import Keyset
from pubnub_bridge.presence import Heard

FULL_REPLY = 100
"""Messages of one reply that mean that others may have been lost."""
_PRESENCE = "-pnpres"
_POLL_TIMEOUT = aiohttp.ClientTimeout(total=320, sock_connect=10)
"""Above the 280 s after which PubNub ends an idle poll."""
_log = structlog.get_logger(__name__)


class SubscribeFailed(Unavailable):
    """PubNub's subscribe answered {status}: {body}"""

    code = "subscribe_failed"


class Subscriber:
    """Polls and appends; `run` is one partition's loop."""

    def __init__(
        self,
        session: aiohttp.ClientSession,
        keyset: Keyset,
        shards: ShardMap,
        log: Log,
        now: Callable[[], int],
    ) -> None:
        self._session = session
        self._keyset = keyset
        self._shards = shards
        self._log = log
        self._now = now
        self.token: Callable[[], str | None] = lambda: None

    async def run(self, partition: int) -> None:
        """Follow one partition for ever; errors are waited out."""
        cursor = await self._log.cursor(partition)
        failures = 0
        while True:
            try:
                cursor = await self.step(partition, cursor)
                failures = 0
            except (aiohttp.ClientError, OSError, TimeoutError, SubscribeFailed, QueueUnavailable) as error:
                failures += 1
                _log.warning(
                    "subscribe failed", partition=partition, reason=str(error) or type(error).__name__
                )
                await asyncio.sleep(min(10.0, random.uniform(0.05, 0.2) * 2 ** min(failures, 8)))

    async def step(self, partition: int, cursor: Cursor) -> Cursor:
        """One poll, appended; returns the cursor after it."""
        reply = await self._poll(partition, cursor)
        following = Cursor(str(reply["t"]["t"]), int(reply["t"]["r"]))
        heard = self._heard(partition, reply.get("m") or [])
        await self._log.follow(partition, heard.seen, following)
        return following

    async def _poll(self, partition: int, cursor: Cursor) -> Mapping[str, Any]:
        names = ",".join(
            self._shards.channel(shard) + _PRESENCE for shard in self._shards.shards_of(partition)
        )
        query = {"tt": cursor.timetoken, "uuid": self._keyset.uuid}
        if cursor.region:
            query["tr"] = str(cursor.region)
        if token := self.token():
            query["auth"] = token
        url = f"{self._keyset.base}/v2/subscribe/{self._keyset.subscribe_key}/{quote(names, safe=',')}/0"
        async with self._session.get(url, params=query, timeout=_POLL_TIMEOUT) as reply:
            if reply.status != 200:
                raise SubscribeFailed(status=reply.status, body=(await reply.text())[:200])
            body: Mapping[str, Any] = await reply.json(content_type=None)
            return body

    def _heard(self, partition: int, envelopes: list[Any]) -> Heard:
        heard = Heard()
        now = self._now()
        for envelope in envelopes:
            shard = self._shards.parse(str(envelope.get("c", "")).removesuffix(_PRESENCE))
            if shard is None or envelope.get("e") or shard % self._shards.partitions != partition:
                continue
            published = int(envelope.get("p", {}).get("t", 0)) // 10_000
            heard.take(shard, envelope.get("d"), published, now)
        heard.seen = [one for one in heard.seen if self._shards.partition(one.user) == partition]
        return heard
