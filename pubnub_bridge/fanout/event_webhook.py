"""Event webhook: settled presence and friend changes, posted to the product's own back end, signed, at least once.

Off without EVENTS_URL. An event is in a stream before the pipeline goes on, and is deleted after a 2xx. The body is
``{"events": [...]}`` with the messages that friends get; ``X-Signature`` is ``sha256=`` and the HMAC of the body.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import aiohttp
import structlog

from graph_service.errors import FriendsError
from graph_service.valkey.client import FIRST, Valkey
from pubnub_bridge.model.notification import Event
from pubnub_bridge.store import keys

MAX_ENTRIES = 200
"""Stream entries of one post."""
BUSY_SECONDS, IDLE_SECONDS, OFF_SECONDS = 0.2, 1.0, 3600.0
"""Between two looks: after a post, without one, and without a receiver."""
MAX_BACKOFF_SECONDS = 60.0
REQUEST_TIMEOUT = aiohttp.ClientTimeout(total=15)
_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class WebhookReceiver:
    """Where events are posted; nowhere without a URL."""

    url: str = ""
    secret: str = ""


def signature(secret: str, body: bytes) -> str:
    """The value of X-Signature."""
    return "sha256=" + hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()


class EventWebhook:
    """Stores events until the receiver has accepted them."""

    def __init__(
        self,
        *,
        valkey: Valkey,
        session: aiohttp.ClientSession,
        receiver: WebhookReceiver,
        partition: Callable[[str], int],
        leads: Callable[[], bool],
    ) -> None:
        self._valkey = valkey
        self._session = session
        self._receiver = receiver
        self._partition = partition
        self._leads = leads

    async def append(self, events: Sequence[Event]) -> None:
        """Store what is to be posted; nothing without a receiver. Raises QueueUnavailable."""
        if not self._receiver.url or not events:
            return
        spread: dict[int, list[bytes]] = {}
        for event in events:
            spread.setdefault(self._partition(event.user), []).append(event.body)
        await self._valkey.append([(keys.events(number), b",".join(some)) for number, some in spread.items()])

    async def run(self, partitions: int) -> None:
        """Post without end, while this process leads; a receiver that is away is waited for."""
        seconds = IDLE_SECONDS
        while True:
            await asyncio.sleep(seconds if self._receiver.url else OFF_SECONDS)
            if not self._leads() or not self._receiver.url:
                continue
            try:
                posted = [await self._post(partition) for partition in range(partitions)]
                seconds = BUSY_SECONDS if any(posted) else IDLE_SECONDS
            except (FriendsError, aiohttp.ClientError, OSError, TimeoutError) as error:
                seconds = min(MAX_BACKOFF_SECONDS, seconds * 2)
                _log.warning("webhook.post.retrying", reason=str(error), seconds=seconds)

    async def _post(self, partition: int) -> bool:
        key = keys.events(partition)
        rows = (await self._valkey.read({key: FIRST}, count=MAX_ENTRIES)).get(key)
        if not rows:
            return False
        body = b'{"events":[' + b",".join([row for _, row in rows]) + b"]}"
        headers: Mapping[str, str] = {
            "Content-Type": "application/json",
            "X-Signature": signature(self._receiver.secret, body),
        }
        async with self._session.post(
            self._receiver.url, data=body, headers=headers, timeout=REQUEST_TIMEOUT
        ) as response:
            response.raise_for_status()
        await self._valkey.delete({key: [entry for entry, _ in rows]})
        return True
