"""One user's device on PubNub's official asyncio SDK: subscribes, reports events, renews its token.

The SDK's message worker and loops die of an exception in a callback, so callbacks only put events into a queue. The
legacy subscription manager is used because the event engine stops at App Context and file events without an error.
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

from graph_service.concurrency.wait import wait_or_timeout
from graph_service.errors import FriendsError
from pubnub_bridge.client.api import ApiClient, Session

FULL_REPLY_MESSAGES = 100
"""A reply of this many messages means that others may have been lost (PubNub docs: subscriber queue)."""
LEAVE_TIMEOUT_SECONDS = 3.0
RENEW_RETRY_SECONDS = 5.0
MAX_REASON_CHARACTERS = 200
_CONNECTED = {PNStatusCategory.PNConnectedCategory, PNStatusCategory.PNReconnectedCategory}


@dataclass(frozen=True, slots=True)
class Connected:
    """Connected or reconnected: messages in between may be lost, so a sync is needed."""


@dataclass(frozen=True, slots=True)
class Flooded:
    """A reply was full, so messages may be lost: a sync is needed."""


@dataclass(frozen=True, slots=True)
class Trouble:
    """Not connected; the SDK retries."""

    reason: str
    refused: bool
    """Access Manager denied access: the token has expired, or never allowed it."""


@dataclass(frozen=True, slots=True)
class Message:
    """A message, as published."""

    body: Any


DeviceEvent = Connected | Flooded | Trouble | Message


class Device:
    """A connected client of one user; `listen` yields its events. Created by `present`."""

    def __init__(self, *, session: Session) -> None:
        self._session = session
        self._listener = _MessageListener()
        self._sdk = PubNubAsyncio(
            _configuration(session),
            subscription_manager=AsyncioSubscriptionManager,
            custom_request_handler=AsyncAiohttpRequestHandler,
        )
        self._sdk.add_listener(self._listener)
        self._authorize()
        self.announces_leave = True
        """Whether `close` sends a leave; otherwise PubNub detects the missing heartbeat."""

    def subscribe(self) -> None:
        """From here on the user is present."""
        session = self._session
        channels = [session.inbox, session.presence, session.everyone]
        self._sdk.subscribe().channels(channels).execute()

    def renew(self, session: Session) -> None:
        """Switch to another session: its token, and its presence channel where the number of shards has changed."""
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
        """Unix seconds at which another session must be requested; None for never."""
        return self._session.renew_at

    async def listen(self) -> AsyncIterator[DeviceEvent]:
        """All events in the order of arrival, without end."""
        queue = self._listener.queue
        while True:
            event = await queue.get()
            if queue.qsize() >= FULL_REPLY_MESSAGES - 1:
                yield Flooded()
            yield event

    async def close(self) -> None:
        """Leave, where `announces_leave` says so, and stop."""
        if self.announces_leave:
            self._listener.left.clear()
            self._sdk.unsubscribe_all()
            await wait_or_timeout(self._listener.left, seconds=LEAVE_TIMEOUT_SECONDS)
        await self._sdk.stop()


class _MessageListener(SubscribeCallback):  # type: ignore[misc] # the SDK has no types
    """Puts events into a queue, and never raises."""

    def __init__(self) -> None:
        self.queue: asyncio.Queue[DeviceEvent] = asyncio.Queue()
        self.left = asyncio.Event()

    def message(self, pubnub: Any, message: Any) -> None:
        self.queue.put_nowait(Message(message.message))

    def presence(self, pubnub: Any, presence: Any) -> None:
        """Presence is not subscribed to."""

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
    """A user who is present while the block runs; the token is renewed before it expires.

    Raises:
        ApiUnavailable, ApiRefused: no session.
    """
    device = Device(session=await api.session(user))
    renewal = asyncio.create_task(_renew(api, user, device), name=f"renew {user}")
    try:
        device.subscribe()
        yield device
    finally:
        renewal.cancel()
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
    return str(getattr(data, "information", None) or data or status.category)[:MAX_REASON_CHARACTERS]
