"""PubNub's time, as far as we know it. Deadlines and stamps are by this clock, so a skewed host does no harm."""

from __future__ import annotations

import asyncio
import time

import aiohttp
import structlog

from pubnub_bridge.pubnub_api.publish_client import Keyset

_log = structlog.get_logger(__name__)


class Clock:
    """Milliseconds since the epoch by PubNub's clock: ours, corrected by its time call."""

    def __init__(self) -> None:
        self.offset_milliseconds = 0
        """Milliseconds that PubNub is ahead of us."""

    def now(self) -> int:
        """PubNub's time."""
        return time.time_ns() // 1_000_000 + self.offset_milliseconds

    async def run(self, session: aiohttp.ClientSession, keyset: Keyset) -> None:
        """Ask once a minute, for ever."""
        while True:
            await asyncio.sleep(60.0)
            try:
                await self.synchronize(session, keyset)
            except (aiohttp.ClientError, OSError, TimeoutError) as error:
                _log.warning("PubNub's time is not known", reason=str(error))

    async def synchronize(self, session: aiohttp.ClientSession, keyset: Keyset) -> None:
        """Ask PubNub (`GET /time/0`). Raises what aiohttp raises, and then the correction stays."""
        before = time.time_ns()
        async with session.get(f"{keyset.base}/time/0", timeout=aiohttp.ClientTimeout(total=5)) as reply:
            told = await reply.json(content_type=None)
        middle = (before + time.time_ns()) // 2
        self.offset_milliseconds = int(told[0]) // 10_000 - middle // 1_000_000
