"""Events & Actions webhooks: posts presence events to the targets of a keyset.

This module sends the requests; `webhook_body` encodes, `webhook_queue` schedules.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Any

import aiohttp

from local_stack.origin.clock import Clock
from local_stack.origin.presence_events import PresenceEvent
from local_stack.origin.webhook_queue import Delivery, Target, WebhookQueue

RESPONSE_TIMEOUT_SECONDS = 10.0
MAX_REDIRECTS = 3


class Webhooks:
    """The targets of one keyset. Must be closed if it ever had a target."""

    def __init__(self, sub_key: str, clock: Clock) -> None:
        self.queues: list[WebhookQueue] = []
        self._sub_key = sub_key
        self._clock = clock
        self._session: aiohttp.ClientSession | None = None
        self._posting: set[asyncio.Task[None]] = set()

    def set_targets(self, targets: Iterable[Target]) -> None:
        self.queues = [
            WebhookQueue(target=target, sub_key=self._sub_key, seed=seed)
            for seed, target in enumerate(targets)
        ]

    def enqueue(self, event: PresenceEvent, body: dict[str, Any]) -> None:
        """Queue a presence event for all targets; `body` is its body for subscribers."""
        for queue in self.queues:
            queue.add(event, body, self._clock.now)

    def due(self) -> float | None:
        """The next time at which `tick` has something to post, in Unix seconds."""
        return min((at for queue in self.queues if (at := queue.due()) is not None), default=None)

    def tick(self, now: float) -> None:
        """Start posting what is due."""
        for queue in self.queues:
            for delivery in queue.take(now):
                task = asyncio.get_running_loop().create_task(
                    self._post(queue, delivery), name="origin-webhook"
                )
                self._posting.add(task)
                task.add_done_callback(self._posting.discard)

    async def close(self) -> None:
        """Cancel deliveries in progress."""
        for task in list(self._posting):
            task.cancel()
        await asyncio.gather(*self._posting, return_exceptions=True)
        if self._session is not None:
            await self._session.close()

    async def _post(self, queue: WebhookQueue, delivery: Delivery) -> None:
        target = queue.target
        if self._session is None:
            self._session = aiohttp.ClientSession(
                timeout=aiohttp.ClientTimeout(total=RESPONSE_TIMEOUT_SECONDS)
            )
        try:
            async with self._session.post(
                target.url, json=delivery.body, headers=target.headers, max_redirects=MAX_REDIRECTS
            ) as response:
                good = response.status // 100 == 2
        except (aiohttp.ClientError, TimeoutError, ValueError):
            good = False
        if good:
            queue.accepted(delivery)
        else:
            queue.refused(delivery, self._clock.now)
