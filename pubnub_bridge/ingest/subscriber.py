"""Subscriber: one long poll for the presence of one partition's shards, appended to the presence log.

Invariants: only ``-pnpres`` names are subscribed to, so the loop is an occupant of nothing and no App Context event
can reach it; the cursor moves on only in the transaction that appends what was read (PubNub docs: subscribe v2,
presence events); where something may have been lost (no cursor, a full reply, a long gap), the shards are reconciled.
"""

from __future__ import annotations

import asyncio
import json
import random
import time
from collections.abc import Awaitable, Callable, Collection, Mapping
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
"""Messages of one reply from which on others may have been lost."""
LONG_GAP_SECONDS = 10.0
"""Without a poll, after which something may have been lost."""
PAUSE_SECONDS = 0.1
"""Between two polls, so that what comes in between is appended together. A single event finds a poll open, and the
debounce time counts from the event, so only a second event in this time is read later."""
MANY_MESSAGES = 50
"""Of one reply, after which the next poll does not wait."""
MIN_BACKOFF_SECONDS, MAX_FIRST_BACKOFF_SECONDS, MAX_BACKOFF_SECONDS = 0.05, 0.2, 10.0
"""After the first failure at random between the first two; doubled after each."""
MAX_REASONS = 100
"""Reasons of bodies that are not understood which are logged, each once."""
_PRESENCE = "-pnpres"
_POLL_TIMEOUT = aiohttp.ClientTimeout(total=320, sock_connect=10)
"""Above the 280 s after which PubNub ends an idle poll: a poll that takes longer is dead."""
RETRIED = (aiohttp.ClientError, OSError, TimeoutError, QueueUnavailable)
_log = structlog.get_logger(__name__)


class SubscribeFailed(Unavailable):
    """PubNub's subscribe answered {status}: {body}"""

    code = "subscribe_failed"


class SubscribeDenied(SubscribeFailed):
    """PubNub's subscribe answered {status}: {body}"""

    code = "subscribe_denied"


class Subscriber:
    """Polls and appends; `run` is one partition's loop.

    Backpressure: `check_backpressure` raises QueueUnavailable while a partition's presence log is full; `on_gap` gets the shards of
    which something may have been lost.
    """

    def __init__(
        self,
        *,
        session: aiohttp.ClientSession,
        keyset: Keyset,
        shards: ShardMap,
        log: PresenceLog,
        token: Callable[[], str | None],
        check_backpressure: Callable[[int], Awaitable[None]],
        on_denied: Callable[[], None],
        on_caught_up: Callable[[int], None],
        on_gap: Callable[[Collection[int]], None],
        now: Callable[[], int],
    ) -> None:
        self._session = session
        self._keyset = keyset
        self._shards = shards
        self._log = log
        self._token = token
        self._check_backpressure = check_backpressure
        self._on_denied = on_denied
        self._on_caught_up = on_caught_up
        self._on_gap = on_gap
        self._now = now
        self._occupancy = OccupancyTracker()

    async def run(self, partition: int) -> None:
        """Poll for one partition without end; errors are retried."""
        # Not `retry_forever`: how long and how often polls failed decides about reconciling.
        cursor, failures, answered = None, 0, time.monotonic()
        while True:
            try:
                cursor = cursor or await self._log.cursor(partition)
                fresh = cursor == Cursor()
                cursor, messages = await self.step(partition, cursor)
                self._on_caught_up(partition)
                if fresh or (failures and time.monotonic() - answered > LONG_GAP_SECONDS):
                    self._on_gap(self._shards.shards_of(partition))
                failures, answered = 0, time.monotonic()
                await asyncio.sleep(PAUSE_SECONDS if messages < MANY_MESSAGES else 0)
            except (*RETRIED, SubscribeFailed) as error:
                failures += 1
                await self._back_off(partition, error, failures)

    async def step(self, partition: int, cursor: Cursor) -> tuple[Cursor, int]:
        """One poll, appended; returns the cursor after it, and the number of messages."""
        # Before the poll: nothing is read that could not be stored.
        await self._check_backpressure(partition)
        reply = await self._poll(partition, cursor)
        following = _cursor(reply)
        envelopes = reply.get("m") or []
        parsed = self._parse(partition, envelopes)
        with tracing.span("receive", partition=partition, events=len(parsed.events)):
            await self._log.append_with_cursor(partition, parsed.events, following)
        metrics.PRESENCE_EVENTS.labels("subscribe").inc(len(parsed.events))
        if len(envelopes) >= FULL_REPLY:
            self._on_gap(self._shards.shards_of(partition))
        elif shards := parsed.refresh | self._occupancy.shards_to_compare(parsed, self._now()):
            self._on_gap(shards)
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
        if token := self._token():
            query["auth"] = token
        url = f"{self._keyset.base}/v2/subscribe/{self._keyset.subscribe_key}/{quote(names, safe=',')}/0"
        async with self._session.get(url, params=query, timeout=_POLL_TIMEOUT) as reply:
            if reply.status != 200:
                kind = SubscribeDenied if reply.status in {401, 403} else SubscribeFailed
                raise kind(status=reply.status, body=(await reply.text())[:200])
            return _parsed_reply(await reply.text())

    async def _back_off(self, partition: int, error: Exception, failures: int) -> None:
        metrics.POLLS_FAILED.inc()
        log = _log.warning
        if isinstance(error, SubscribeDenied):
            metrics.DENIED.labels("subscribe").inc()
            self._on_denied()
            log = _log.error
        first = random.uniform(MIN_BACKOFF_SECONDS, MAX_FIRST_BACKOFF_SECONDS)
        seconds = min(MAX_BACKOFF_SECONDS, first * 2 ** min(failures, 8))
        reason = str(error) or type(error).__name__
        log("ingest.poll.retrying", partition=partition, reason=reason, seconds=round(seconds, 3))
        await asyncio.sleep(seconds)

    def _parse(self, partition: int, envelopes: list[Any]) -> ParsedPresence:
        parsed = ParsedPresence()
        now = self._now()
        for envelope in envelopes:
            if not isinstance(envelope, Mapping):
                parsed.unknown.append("an envelope that is no object")
                continue
            shard = self._shards.parse(str(envelope.get("c", "")).removesuffix(_PRESENCE))
            if shard is None or envelope.get("e") or shard % self._shards.partitions != partition:
                continue
            parsed.add(shard, envelope.get("d"), _published(envelope) or now, now)
        return drop_wrong_shard(parsed, self._shards)


def drop_wrong_shard(parsed: ParsedPresence, shards: ShardMap) -> ParsedPresence:
    """Without events on shards that are not the user's, and of ids that no user can have; both are counted."""
    events = []
    for one in parsed.events:
        if why_not(one.user) is not None:
            metrics.REFUSED.inc()
        elif shards.partition(one.user) != one.shard % shards.partitions:
            metrics.WRONG_SHARD.inc()
        else:
            events.append(one)
    parsed.events = events
    for reason in parsed.unknown:
        metrics.UNKNOWN.inc()
        if reason not in _logged and len(_logged) < MAX_REASONS:
            _logged.add(reason)
            _log.warning("ingest.body.unknown", reason=reason)
    return parsed


_logged: set[str] = set()


def _parsed_reply(text: str) -> Mapping[str, Any]:
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
    """When a message was published, in milliseconds; 0 where the envelope does not say."""
    place = envelope.get("p")
    stamp = place.get("t") if isinstance(place, Mapping) else None
    return int(stamp) // 10_000 if isinstance(stamp, str | int) and str(stamp).isdigit() else 0
