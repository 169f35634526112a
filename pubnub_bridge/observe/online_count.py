"""Online count: how many users are online, from Here Now over all shards, published as status.count."""

from __future__ import annotations

import json
import time
from typing import Protocol

import structlog

from graph_service.model import timestamps
from graph_service.model.messages import Count, StatusCount
from graph_service.model.sharding import ShardMap
from graph_service.valkey.client import Valkey
from pubnub_bridge import metrics
from pubnub_bridge.errors import PubNubUnavailable
from pubnub_bridge.pubnub_api.publish_client import Outcome, Post
from pubnub_bridge.pubnub_api.tokens import STATUS_CHANNEL
from pubnub_bridge.store import keys
from pubnub_bridge.store.health import Health

MAX_CHANNELS = 100
"""Of one Here Now call: their names stay far below the URL's limit."""
_log = structlog.get_logger(__name__)


class OccupancyRead(Protocol):
    """The part of `PubNubSdk` that counting needs."""

    async def occupancy(self, channels: list[str]) -> dict[str, int]:
        """How many are on each channel."""


class OnlineCount:
    """Counts and publishes."""

    def __init__(
        self,
        *,
        client: OccupancyRead,
        shards: ShardMap,
        valkey: Valkey,
        health: Health,
        publish_client: Post,
        valid_for_seconds: int,
    ) -> None:
        self._client = client
        self._shards = shards
        self._valkey = valkey
        self._health = health
        self._publish_client = publish_client
        self._valid_for_seconds = valid_for_seconds
        self.occupancy: list[int] = []
        """How many were on each shard at the last count."""

    async def step(self) -> StatusCount:
        """One count, published. Raises PubNubUnavailable, PubNubRefused or QueueUnavailable; then none is published."""
        online = await self._online()
        reason = await self._health.late()
        before = json.loads(await self._valkey.get(keys.COUNT) or b"null")
        message = counted(online, before, reason, self._valid_for_seconds, time.time_ns() // 1000)
        result = await self._publish_client.post(
            STATUS_CHANNEL, message.model_dump_json(by_alias=True).encode()
        )
        if result.outcome is not Outcome.SENT:
            raise PubNubUnavailable(reason=result.reason)
        await self._valkey.put(keys.OCCUPANCY, json.dumps(self.occupancy).encode())
        await self._valkey.put(keys.COUNT, json.dumps(online).encode())
        metrics.ONLINE.set(online)
        return message

    async def _online(self) -> int:
        shards = self._shards
        names = [name for shard in range(shards.listened) for name in shards.channels(shard)]
        found: dict[str, int] = {}
        for start in range(0, len(names), MAX_CHANNELS):
            found |= await self._client.occupancy(names[start : start + MAX_CHANNELS])
        self.occupancy = [found.get(name, 0) for name in names]
        return sum(found.values())


def counted(online: int, before: int | None, reason: str | None, valid_for: int, now: int) -> StatusCount:
    """The message; `now` in microseconds. The first count has no delta."""
    timestamp = timestamps.microseconds(now)
    payload = Count(
        online_count=online,
        delta=0 if before is None else online - before,
        calculated_at=timestamp,
        valid_for=valid_for,
        degraded=reason is not None,
        reason=reason,
    )
    return StatusCount(event_id=f"evt_global_count_{now // 1_000_000}", ts=timestamp, payload=payload)
