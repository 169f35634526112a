"""Startup: PubNub's time, the server's token and the watermark, before anything is read or published.

A bridge can do nothing without PubNub, so it waits until PubNub responds. An API alone serves friends during an outage
of PubNub: its own clock replaces PubNub's, and what needs PubNub (sessions) returns 503.
"""

from __future__ import annotations

import asyncio

import aiohttp
import structlog

from graph_service.concurrency.retry import retry_forever
from graph_service.errors import FriendsError
from pubnub_bridge import metrics
from pubnub_bridge.errors import PubNubUnavailable
from pubnub_bridge.runtime.context import BridgeContext

MAX_PREPARE_BACKOFF_SECONDS = 10.0
SYNCHRONIZE_INTERVAL_SECONDS = 60.0
"""How often an API alone reads PubNub's time; also its longest backoff."""
_log = structlog.get_logger(__name__)


async def prepare(context: BridgeContext) -> None:
    """Read PubNub's time, grant the server's token and load the watermark.

    Raises:
        PubNubUnavailable: no response, or an error that may be gone next time.
        PubNubRefused: the keys are wrong, or Access Manager is not switched on.
        QueueUnavailable: Valkey does not respond.
    """
    await _synchronize(context)
    await context.tokens.grant_server_token()


async def wait_until_prepared(context: BridgeContext) -> None:
    """Prepare, for as many attempts as it takes.

    Raises:
        PubNubRefused: waiting would not help.
    """
    await retry_forever(
        lambda: prepare(context),
        on=_is_temporary,
        event="startup.prepare",
        max_seconds=MAX_PREPARE_BACKOFF_SECONDS,
    )


async def try_synchronize(context: BridgeContext) -> bool:
    """Read PubNub's time and the watermark once; False where PubNub or Valkey does not respond."""
    try:
        await _synchronize(context)
    except FriendsError as error:
        _log.warning("startup.synchronize.failed", reason=str(error))
        return False
    return True


async def synchronize_periodically(context: BridgeContext) -> None:
    """For an API without a bridge: read PubNub's time once a minute, until it is cancelled."""
    while True:
        await retry_forever(
            lambda: _synchronize(context),
            on=FriendsError,
            event="startup.synchronize",
            max_seconds=SYNCHRONIZE_INTERVAL_SECONDS,
        )
        await asyncio.sleep(SYNCHRONIZE_INTERVAL_SECONDS)


def _is_temporary(error: Exception) -> bool:
    return isinstance(error, FriendsError) and error.temporary


async def _synchronize(context: BridgeContext) -> None:
    try:
        await context.clock.synchronize(context.http_session, context.keyset)
    except (aiohttp.ClientError, OSError, TimeoutError, ValueError, TypeError, LookupError) as error:
        metrics.CLOCK_SYNCED.set(0)
        reason = f"{context.keyset.base}: {str(error) or type(error).__name__}"
        raise PubNubUnavailable(reason=reason) from error
    metrics.CLOCK_SYNCED.set(1)
    metrics.CLOCK_AHEAD.set(context.clock.offset_milliseconds / 1000)
    await context.watermark.load()
