"""The subscribe loop (row 1 of the walk): one long poll for the shards of one partition. Knows HTTP and the log.

Only ``-pnpres`` names are subscribed to, so the loop is an occupant of nothing and no App Context event can reach
it. The cursor moves on only once what was read stands in the log (PubNub docs: subscribe v2, presence events).
"""

from __future__ import annotations

import asyncio
import json
import random
import time
from collections.abc import Awaitable, Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

import aiohttp
import structlog

from graph_service import tracing
from graph_service.errors import QueueUnavailable, Unavailable
from graph_service.model.ids import why_not
from graph_service.model.sharding import ShardMap
from pubnub_bridge import metrics
from pubnub_bridge.ingest.parser import OccupancyTracker, ParsedPresence
from pubnub_bridge.pubnub_api.publish_client import Keyset
from pubnub_bridge.store.presence_log import Cursor, PresenceLog

FULL_REPLY = 100
"""Messages of one reply that mean that others may have been lost."""
LONG_GAP_SECONDS = 10.0
"""Seconds without a poll after which something may have been lost."""
PAUSE_SECONDS = 0.1
"""Seconds between two polls: what comes meanwhile is read and kept together. Who comes alone finds a poll open, and a
hold counts from the event, so only a second arrival in this time is noticed later."""
MANY_MESSAGES = 50
"""Messages of one reply after which the next poll does not wait."""
_PRESENCE = "-pnpres"
_POLL_TIMEOUT = aiohttp.ClientTimeout(total=320, sock_connect=10)
"""Above the 280 s after which PubNub ends an idle poll: a poll that takes longer is dead."""
_WAITED_OUT = (aiohttp.ClientError, OSError, TimeoutError, QueueUnavailable)
_log = structlog.get_logger(__name__)


class SubscribeFailed(Unavailable):
    """PubNub's subscribe answered {status}: {body}"""

    code = "subscribe_failed"


class SubscribeDenied(SubscribeFailed):
    """PubNub's subscribe answered {status}: {body}"""

    code = "subscribe_denied"


@dataclass(frozen=True, slots=True)
class Hooks:
    """What a loop tells of beside the log."""

    token: Callable[[], str | None]
    refused: Callable[[], None]
    """The token was not accepted."""
    caught_up: Callable[[int], None]
    """A partition's first poll was answered."""
    doubtful: Callable[[Collection[int]], None]
    """Shards of which something may have been lost."""
    now: Callable[[], int]
    """PubNub's time in milliseconds."""
    room: Callable[[int], Awaitable[None]]
    """Raises QueueUnavailable while a partition can take nothing more in."""


class Subscriber:
    """Polls and appends; `run` is one partition's loop."""

    def __init__(
        self, session: aiohttp.ClientSession, keyset: Keyset, shards: ShardMap, log: PresenceLog, hooks: Hooks
    ) -> None:
        self._session = session
        self._keyset = keyset
        self._shards = shards
        self._log = log
        self._hooks = hooks
        self._counts = OccupancyTracker()

    async def run(self, partition: int) -> None:
        """Follow one partition for ever; errors are waited out."""
        cursor, failures, answered = None, 0, time.monotonic()
        while True:
            try:
                cursor = cursor or await self._log.cursor(partition)
                fresh = cursor == Cursor()
                cursor, messages = await self.step(partition, cursor)
                self._hooks.caught_up(partition)
                if fresh or (failures and time.monotonic() - answered > LONG_GAP_SECONDS):
                    self._hooks.doubtful(self._shards.shards_of(partition))
                failures, answered = 0, time.monotonic()
                await asyncio.sleep(PAUSE_SECONDS if messages < MANY_MESSAGES else 0)
            except (*_WAITED_OUT, SubscribeFailed) as error:
                failures += 1
                await self._wait_out(partition, error, failures)

    async def step(self, partition: int, cursor: Cursor) -> tuple[Cursor, int]:
        """One poll, appended; returns the cursor after it, and how many messages came."""
        await self._hooks.room(partition)
        reply = await self._poll(partition, cursor)
        following = _cursor(reply)
        envelopes = reply.get("m") or []
        heard = self._heard(partition, envelopes)
        with tracing.span("receive", partition=partition, events=len(heard.events)):
            await self._log.append_with_cursor(partition, heard.events, following)
        metrics.PRESENCE_EVENTS.labels("subscribe").inc(len(heard.events))
        if len(envelopes) >= FULL_REPLY:
            self._hooks.doubtful(self._shards.shards_of(partition))
        elif doubtful := heard.refresh | self._counts.shards_to_compare(heard, self._hooks.now()):
            self._hooks.doubtful(doubtful)
        return following, len(envelopes)

    async def _poll(self, partition: int, cursor: Cursor) -> Mapping[str, Any]:
        names = ",".join(
            channel + _PRESENCE
            for shard in self._shards.shards_of(partition)
            for channel in self._shards.channels(shard)
        )
        query = {"tt": cursor.timetoken, "uuid": self._keyset.uuid}
        if cursor.region:
            query["tr"] = str(cursor.region)
        if token := self._hooks.token():
            query["auth"] = token
        url = f"{self._keyset.base}/v2/subscribe/{self._keyset.subscribe_key}/{quote(names, safe=',')}/0"
        async with self._session.get(url, params=query, timeout=_POLL_TIMEOUT) as reply:
            if reply.status != 200:
                kind = SubscribeDenied if reply.status in {401, 403} else SubscribeFailed
                raise kind(status=reply.status, body=(await reply.text())[:200])
            return _understood(await reply.text())

    async def _wait_out(self, partition: int, error: Exception, failures: int) -> None:
        metrics.POLLS_FAILED.inc()
        if denied := isinstance(error, SubscribeDenied):
            metrics.DENIED.labels("subscribe").inc()
            self._hooks.refused()
        told = _log.error if denied else _log.warning
        told("subscribe failed", partition=partition, reason=str(error) or type(error).__name__)
        await asyncio.sleep(min(10.0, random.uniform(0.05, 0.2) * 2 ** min(failures, 8)))

    def _heard(self, partition: int, envelopes: list[Any]) -> ParsedPresence:
        heard = ParsedPresence()
        now = self._hooks.now()
        for envelope in envelopes:
            if not isinstance(envelope, Mapping):
                heard.unknown.append("an envelope that is no object")
                continue
            shard = self._shards.parse(str(envelope.get("c", "")).removesuffix(_PRESENCE))
            if shard is None or envelope.get("e") or shard % self._shards.partitions != partition:
                continue
            heard.add(shard, envelope.get("d"), _published(envelope) or now, now)
        return drop_misplaced(heard, self._shards)


def drop_misplaced(heard: ParsedPresence, shards: ShardMap) -> ParsedPresence:
    """Without events on shards that are not the user's, and of ids no user can have; counted, and logged once each."""
    kept = []
    for one in heard.events:
        if why_not(one.user) is not None:
            metrics.REFUSED.inc()
        elif shards.partition(one.user) != one.shard % shards.partitions:
            metrics.WRONG_SHARD.inc()
        else:
            kept.append(one)
    heard.events = kept
    for reason in heard.unknown:
        metrics.UNKNOWN.inc()
        if reason not in _told and len(_told) < 100:
            _told.add(reason)
            _log.warning("a presence body was not understood", reason=reason)
    return heard


_told: set[str] = set()


def _understood(text: str) -> Mapping[str, Any]:
    try:
        reply = json.loads(text)
    except ValueError:
        reply = None
    if not isinstance(reply, Mapping) or not isinstance(reply.get("t"), Mapping):
        raise SubscribeFailed(status=200, body=text[:200])
    return reply


def _cursor(reply: Mapping[str, Any]) -> Cursor:
    place = reply["t"]
    try:
        return Cursor(str(int(place["t"])), int(place.get("r") or 0))
    except (KeyError, TypeError, ValueError):
        raise SubscribeFailed(status=200, body=f"t: {place!r}"[:200]) from None


def _published(envelope: Mapping[str, Any]) -> int:
    """Milliseconds; 0 where it is not told."""
    place = envelope.get("p")
    stamp = place.get("t") if isinstance(place, Mapping) else None
    return int(stamp) // 10_000 if isinstance(stamp, str | int) and str(stamp).isdigit() else 0
