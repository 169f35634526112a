"""One user's device on PubNub's official asyncio SDK. Knows the SDK; what a message means is decided elsewhere.

The SDK's message worker and loops die of an exception in a callback, so the callbacks only put things in a queue.
Its legacy subscription manager is used: the event engine stops at App Context and file events without a word.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Any

from pubnub.callbacks import SubscribeCallback
from pubnub.enums import PNOperationType, PNReconnectionPolicy, PNStatusCategory
from pubnub.pnconfiguration import PNConfiguration
from pubnub.pubnub_asyncio import AsyncioSubscriptionManager, PubNubAsyncio
from pubnub.request_handlers.async_aiohttp import AsyncAiohttpRequestHandler

from graph_service.errors import FriendsError
from pubnub_bridge.client.api import ApiClient, Session

FULL_REPLY = 100
"""Messages of one reply that mean that others may have been lost (PubNub docs: subscriber queue)."""
LEAVE_TIMEOUT_SECONDS = 3.0
"""Seconds to wait for the answer to a leave."""
RENEW_RETRY_SECONDS = 5.0
"""Seconds between two attempts to get a token."""
_CONNECTED = {PNStatusCategory.PNConnectedCategory, PNStatusCategory.PNReconnectedCategory}


@dataclass(frozen=True, slots=True)
class Connected:
    """Connected, or again connected: what was sent meanwhile may be lost, so a sync is due."""


@dataclass(frozen=True, slots=True)
class Flooded:
    """A reply was full, so others may have been lost: a sync is due."""


@dataclass(frozen=True, slots=True)
class Trouble:
    """Not connected; the SDK tries again by itself."""

    reason: str
    refused: bool
    """Access Manager said no: the token ended, or never allowed it."""


@dataclass(frozen=True, slots=True)
class Message:
    """A message, as published."""

    body: Any


DeviceEvent = Connected | Flooded | Trouble | Message


class Device:
    """A connected client; `heard` is what it hears. Make it by `present`."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._ear = _MessageListener()
        self._sdk = PubNubAsyncio(
            _configuration(session),
            subscription_manager=AsyncioSubscriptionManager,
            custom_request_handler=AsyncAiohttpRequestHandler,
        )
        self._sdk.add_listener(self._ear)
        self._authorize()
        self.announces_leave = True
        """Whether leaving is told; without it PubNub finds out by the missing heartbeat."""

    def arrive(self) -> None:
        """Subscribe: from here on the user is present."""
        session = self._session
        channels = [session.inbox, session.presence, session.everyone]
        self._sdk.subscribe().channels(channels).execute()

    def renew(self, session: Session) -> None:
        """Go on with another session: its token, and its presence channel where the number of shards has changed."""
        before, self._session = self._session.presence, session
        self._authorize()
        if session.presence != before:
            self._sdk.subscribe().channels([session.presence]).execute()
            self._sdk.unsubscribe().channels([before]).execute()

    def _authorize(self) -> None:
        if self._session.token:
            self._sdk.set_token(self._session.token)

    @property
    def renew_at(self) -> float | None:
        """Unix seconds, when another session must be asked for; None when never."""
        return self._session.renew_at

    async def listen(self) -> AsyncIterator[DeviceEvent]:
        """Everything as it comes, for ever."""
        queue = self._ear.queue
        while True:
            one = await queue.get()
            if queue.qsize() >= FULL_REPLY - 1:
                yield Flooded()
            yield one

    async def close(self) -> None:
        """Leave, unless that is not wanted, and stop."""
        if self.announces_leave:
            self._ear.left.clear()
            self._sdk.unsubscribe_all()
            with suppress(TimeoutError):
                async with asyncio.timeout(LEAVE_TIMEOUT_SECONDS):
                    await self._ear.left.wait()
        await self._sdk.stop()


class _MessageListener(SubscribeCallback):  # type: ignore[misc] # the SDK has no types
    """Puts what comes in a queue, and never raises."""

    def __init__(self) -> None:
        self.queue: asyncio.Queue[DeviceEvent] = asyncio.Queue()
        self.left = asyncio.Event()

    def message(self, pubnub: Any, message: Any) -> None:
        """A message."""
        self.queue.put_nowait(Message(message.message))

    def presence(self, pubnub: Any, presence: Any) -> None:
        """Not subscribed to."""

    def status(self, pubnub: Any, status: Any) -> None:
        """Connected, left, or an error."""
        if status.operation == PNOperationType.PNUnsubscribeOperation and not status.is_error():
            self.left.set()
        elif status.category in _CONNECTED:
            self.queue.put_nowait(Connected())
        elif status.is_error():
            refused = status.category == PNStatusCategory.PNAccessDeniedCategory
            self.queue.put_nowait(Trouble(_reason(status), refused))


@asynccontextmanager
async def present(api: ApiClient, user: str) -> AsyncIterator[Device]:
    """A user who is present while the block runs; the token is renewed in time.

    Raises:
        ApiUnavailable, ApiRefused: no session.
    """
    device = Device(await api.session(user))
    renewing = asyncio.create_task(_renew(api, user, device), name=f"renew {user}")
    try:
        device.arrive()
        yield device
    finally:
        renewing.cancel()
        await device.close()


async def _renew(api: ApiClient, user: str, device: Device) -> None:
    while (at := device.renew_at) is not None:
        await asyncio.sleep(max(at - time.time(), RENEW_RETRY_SECONDS))
        with suppress(FriendsError):
            device.renew(await api.session(user))


def _configuration(session: Session) -> PNConfiguration:
    config = PNConfiguration()
    config.subscribe_key, config.publish_key = session.subscribe_key, session.publish_key
    config.user_id, config.origin, config.ssl = session.user, session.origin, session.tls
    config.set_presence_timeout(session.heartbeat)
    config.reconnect_policy = PNReconnectionPolicy.LINEAR
    config.maximum_reconnection_retries = -1
    return config


def _reason(status: Any) -> str:
    data = status.error_data
    return str(getattr(data, "information", None) or data or status.category)[:200]
