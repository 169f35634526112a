"""A listener for the official Python clients that records everything they receive."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from pubnub.callbacks import SubscribeCallback


class MessageListener(SubscribeCallback):
    """Callbacks may come in any thread; `heard` is awaited in the event loop that made the listener."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._arrived = asyncio.Event()
        self.kept: list[tuple[str, Any]] = []

    def _keep(self, kind: str, what: Any) -> None:
        self._loop.call_soon_threadsafe(self._add, kind, what)

    def _add(self, kind: str, what: Any) -> None:
        self.kept.append((kind, what))
        self._arrived.set()

    def status(self, pubnub: Any, status: Any) -> None:
        """A change of the connection."""
        self._keep("status", status)

    def presence(self, pubnub: Any, presence: Any) -> None:
        """A presence event."""
        self._keep("presence", presence)

    def message(self, pubnub: Any, message: Any) -> None:
        """A message."""
        self._keep("message", message)

    def signal(self, pubnub: Any, signal: Any) -> None:
        """A signal."""
        self._keep("signal", signal)

    def message_action(self, pubnub: Any, action: Any) -> None:
        """A message action."""
        self._keep("action", action)

    async def heard(
        self, kind: str, matches: Callable[[Any], bool] = lambda _: True, within_seconds: float = 10.0
    ) -> Any:
        """The first recorded item of this kind that matches; waits for it."""
        async with asyncio.timeout(within_seconds):
            while True:
                for known, what in self.kept:
                    if known == kind and matches(what):
                        return what
                self._arrived.clear()
                await self._arrived.wait()

    async def connected(self) -> None:
        """Wait until the client is connected."""
        await self.heard(
            "status", lambda status: getattr(status.category, "name", "") == "PNConnectedCategory"
        )
