"""PubNub's clock: ours, corrected by PubNub's time call. Deadlines and stamps use it, so a skewed host does no harm."""

from __future__ import annotations

import asyncio
import time

import aiohttp
import structlog

from pubnub_bridge.pubnub_api.publish_client import Keyset

SYNCHRONIZE_INTERVAL_SECONDS = 60.0
TIME_CALL_TIMEOUT_SECONDS = 5.0
_log = structlog.get_logger(__name__)


class Clock:
    """Milliseconds since the epoch; before the first `synchronize`, this host's."""

    def __init__(self) -> None:
        self.offset_milliseconds = 0
        """How far PubNub's clock is ahead of this host's."""

    def now(self) -> int:
        return time.time_ns() // 1_000_000 + self.offset_milliseconds

    async def run(self, session: aiohttp.ClientSession, keyset: Keyset) -> None:
        """Synchronize once a minute until it is cancelled."""
        while True:
            await asyncio.sleep(SYNCHRONIZE_INTERVAL_SECONDS)
            try:
                await self.synchronize(session, keyset)
            except (aiohttp.ClientError, OSError, TimeoutError) as error:
                _log.warning("clock.synchronize.failed", reason=str(error))

    async def synchronize(self, session: aiohttp.ClientSession, keyset: Keyset) -> None:
        """Read PubNub's time (`GET /time/0`). Raises what aiohttp raises, and then the correction stays as it is."""
        before = time.time_ns()
        timeout = aiohttp.ClientTimeout(total=TIME_CALL_TIMEOUT_SECONDS)
        async with session.get(f"{keyset.base}/time/0", timeout=timeout) as response:
            timetokens = await response.json(content_type=None)
        # The server read its clock about half way through the call.
        middle = (before + time.time_ns()) // 2
        self.offset_milliseconds = int(timetokens[0]) // 10_000 - middle // 1_000_000
