"""Getting ready to talk to PubNub: its time, the server's token, the highest stamp told. Knows when to wait for it.

A bridge can do nothing without PubNub, so it waits until PubNub answers. An API alone serves friends meanwhile: its
own clock stands in for PubNub's, and what needs PubNub (sessions) answers 503 by itself.
"""

from __future__ import annotations

import asyncio

import aiohttp
import structlog

from graph_service.errors import FriendsError
from pubnub_bridge import metrics
from pubnub_bridge.errors import PubNubUnavailable
from pubnub_bridge.runtime.context import BridgeContext

MIN_BACKOFF_SECONDS = 0.5
MAX_BACKOFF_SECONDS = 60.0
"""Seconds between two tries; the longest is also how often an API alone asks for PubNub's time."""
_log = structlog.get_logger(__name__)


async def prepare(context: BridgeContext) -> None:
    """Ask PubNub for its time and for our token, and Valkey for the highest stamp told.

    Raises:
        PubNubUnavailable: no answer, or one that may be another next time.
        PubNubRefused: the keys are wrong, or Access Manager is not switched on.
        QueueUnavailable: Valkey does not answer.
    """
    await _times(context)
    await context.tokens.grant_server_token()


async def wait_until_prepared(context: BridgeContext) -> None:
    """The same, waited for as long as it takes.

    Raises:
        PubNubRefused: waiting would not help.
    """
    wait = MIN_BACKOFF_SECONDS
    while True:
        try:
            return await prepare(context)
        except FriendsError as error:
            if not error.temporary:
                raise
            _log.warning("the bridge waits for PubNub", reason=str(error), seconds=wait)
        await asyncio.sleep(wait)
        wait = min(10.0, wait * 2)


async def try_synchronize(context: BridgeContext) -> bool:
    """Ask once for PubNub's time and the highest stamp told; False where one of them does not answer."""
    try:
        await _times(context)
    except FriendsError as error:
        _log.warning("served without PubNub's time for now", reason=str(error))
        return False
    return True


async def synchronize_periodically(context: BridgeContext) -> None:
    """For an API without a bridge beside it: ask again and again, for ever."""
    wait = MIN_BACKOFF_SECONDS
    while True:
        await asyncio.sleep(wait)
        wait = MAX_BACKOFF_SECONDS if await try_synchronize(context) else min(MAX_BACKOFF_SECONDS, wait * 2)


async def _times(context: BridgeContext) -> None:
    try:
        await context.clock.synchronize(context.http_session, context.keyset)
    except (aiohttp.ClientError, OSError, TimeoutError, ValueError, TypeError, LookupError) as error:
        metrics.CLOCK_SYNCED.set(0)
        reason = f"{context.keyset.base}: {str(error) or type(error).__name__}"
        raise PubNubUnavailable(reason=reason) from error
    metrics.CLOCK_SYNCED.set(1)
    metrics.CLOCK_AHEAD.set(context.clock.offset_milliseconds / 1000)
    await context.watermark.load()
