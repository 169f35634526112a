"""Follow one user's inbox: request syncs, apply messages, show changes. Independent of the SDK and the terminal."""

from __future__ import annotations

import asyncio
import random
import time
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

from graph_service.errors import FriendsError
from pubnub_bridge.client.api import ApiClient
from pubnub_bridge.client.device import Connected, Device, DeviceEvent, Flooded, Message, Trouble, present
from pubnub_bridge.client.diff import Change, Kind, apply
from pubnub_bridge.client.friend_list import FriendList

MAX_JITTER_SECONDS = 0.2
"""Before a sync is requested: many clients reconnect at once."""
TRUST_SECONDS = 30.0
"""How long presence is trusted before the first status.count says for how long."""
CHECK_INTERVAL_SECONDS = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Numbers:
    """The numbers below the list of changes."""

    online: int
    total: int | None
    """Friends in all, where known."""
    everyone: int | None = None
    """Users online in all, by the last status.count."""
    trusted: bool = True
    """False where none arrived in time or it reported that it is degraded: presence is unknown."""


class Screen(Protocol):
    """Where changes are shown."""

    def connected(self, numbers: Numbers) -> None:
        """Connected or reconnected."""

    def trouble(self, reason: str) -> None:
        """A problem that may pass."""

    def change(self, change: Change, numbers: Numbers, now: float) -> None:
        """A change; `now` in Unix seconds."""

    def numbers(self, numbers: Numbers) -> None:
        """Only the numbers have changed."""


@dataclass(kw_only=True)
class Watcher:
    """One user's friend list, kept up to date."""

    api: ApiClient
    user: str
    screen: Screen
    view: FriendList = field(default_factory=FriendList)
    everyone: int | None = None
    names: dict[str, str] = field(default_factory=dict)
    """Of all friends, since messages name only friends who come online."""
    degraded: bool = False
    trusted_until: float = 0.0
    """By the monotonic clock."""

    async def run(self) -> None:
        """Run until cancelled; the user is present for as long.

        Raises:
            ApiUnavailable, ApiRefused: no session.
        """
        async with present(self.api, self.user) as device, asyncio.TaskGroup() as tasks:
            self.trusted_until = time.monotonic() + TRUST_SECONDS
            tasks.create_task(self._load_names(), name="names")
            tasks.create_task(self._check_trust(), name="trust")
            async for event in device.listen():
                await self._handle(event, device, tasks)

    def numbers(self) -> Numbers:
        trusted = not self.degraded and time.monotonic() < self.trusted_until
        return Numbers(
            online=len(self.view.online), total=self.view.total, everyone=self.everyone, trusted=trusted
        )

    async def _handle(self, event: DeviceEvent, device: Device, tasks: asyncio.TaskGroup) -> None:
        match event:
            case Message(body):
                if self._message(body):
                    tasks.create_task(self._sync(), name="sync")
            case Connected():
                self.screen.connected(self.numbers())
                tasks.create_task(self._sync(), name="sync")
            case Flooded():
                tasks.create_task(self._sync(), name="sync")
            case Trouble(reason, refused):
                self.screen.trouble(reason)
                if refused:
                    await self._renew(device)

    async def _renew(self, device: Device) -> None:
        try:
            device.renew(await self.api.session(self.user))
        except FriendsError as problem:
            self.screen.trouble(f"no new token: {problem}")

    def _message(self, body: Any) -> bool:
        """Apply and show a message; returns whether a sync is needed for the number of friends."""
        now = time.time()
        try:
            changes = [] if self._take_count(body) else apply(self.view, body)
        except (KeyError, TypeError, ValueError, AttributeError) as problem:
            self.screen.trouble(f"a message was not understood: {problem!r}")
            return False
        for change in changes:
            with_name = replace(change, name=change.name or self.names.get(change.user or "", ""))
            self.screen.change(with_name, self.numbers(), now)
        return any(change.kind in {Kind.ADDED, Kind.REMOVED} for change in changes)

    def _take_count(self, body: Any) -> bool:
        """Apply a status.count; returns whether the message was one."""
        if body["type"] != "status.count":
            return False
        payload = body["payload"]
        self.everyone, self.degraded = int(payload["onlineCount"]), bool(payload["degraded"])
        self.trusted_until = time.monotonic() + float(payload["validFor"])
        self.screen.numbers(self.numbers())
        return True

    async def _load_names(self) -> None:
        try:
            async for rows, ts in self.api.friends(self.user):
                self.view.page(rows, ts)
                self.names |= {row["id"]: row["name"] for row in rows}
        except FriendsError as problem:
            self.screen.trouble(f"not all names are known: {problem}")

    async def _sync(self) -> None:
        await asyncio.sleep(random.uniform(0, MAX_JITTER_SECONDS))
        try:
            await self.api.request_sync(self.user)
        except FriendsError as problem:
            self.screen.trouble(f"no sync was requested: {problem}")

    async def _check_trust(self) -> None:
        """Report when presence becomes unknown, or known again."""
        trusted = True
        while True:
            await asyncio.sleep(CHECK_INTERVAL_SECONDS)
            numbers = self.numbers()
            if numbers.trusted != trusted:
                trusted = numbers.trusted
                self.screen.numbers(numbers)
