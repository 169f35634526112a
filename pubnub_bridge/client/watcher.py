"""Following one user's inbox: what is asked for, what is applied, what is shown. Knows no SDK and no terminal."""

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

JITTER_SECONDS = 0.2
"""Seconds, at most, before a sync is asked for: many clients connect again at once."""
TRUST_SECONDS = 30.0
"""Seconds that presence is believed without a status.count, until the first says for how long."""


@dataclass(frozen=True, slots=True)
class Numbers:
    """What stands below the list of changes."""

    online: int
    total: int | None
    """Friends in all, where known."""
    everyone: int | None = None
    """Users online in all, as the last status.count said."""
    trusted: bool = True
    """False: none came in time, or it said that it is degraded, so presence is unknown."""


class Screen(Protocol):
    """Where it is shown."""

    def connected(self, numbers: Numbers) -> None:
        """Connected, or again."""

    def trouble(self, reason: str) -> None:
        """Something does not work for now."""

    def change(self, change: Change, numbers: Numbers, now: float) -> None:
        """A change; `now` in Unix seconds."""

    def numbers(self, numbers: Numbers) -> None:
        """Only the numbers are others."""


@dataclass
class Watcher:
    """One user's picture, kept up to date."""

    api: ApiClient
    user: str
    screen: Screen
    view: FriendList = field(default_factory=FriendList)
    everyone: int | None = None
    names: dict[str, str] = field(default_factory=dict)
    """Of all friends, since messages carry names only of those who come."""
    degraded: bool = False
    believed_until: float = 0.0
    """On the monotonic clock."""

    async def run(self) -> None:
        """Until cancelled; the user is present meanwhile.

        Raises:
            ApiUnavailable, ApiRefused: no session.
        """
        async with present(self.api, self.user) as device, asyncio.TaskGroup() as tasks:
            self.believed_until = time.monotonic() + TRUST_SECONDS
            tasks.create_task(self._names(), name="names")
            tasks.create_task(self._doubt(), name="doubt")
            async for heard in device.listen():
                await self._take(heard, device, tasks)

    def numbers(self) -> Numbers:
        """As of now."""
        trusted = not self.degraded and time.monotonic() < self.believed_until
        return Numbers(len(self.view.online), self.view.total, self.everyone, trusted)

    async def _take(self, heard: DeviceEvent, device: Device, tasks: asyncio.TaskGroup) -> None:
        match heard:
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
        """Applies and shows it; whether the number of friends must be asked for."""
        now = time.time()
        try:
            changes = [] if self._counted(body) else apply(self.view, body)
        except (KeyError, TypeError, ValueError, AttributeError) as problem:
            self.screen.trouble(f"a message was not understood: {problem!r}")
            return False
        for change in changes:
            named = replace(change, name=change.name or self.names.get(change.user or "", ""))
            self.screen.change(named, self.numbers(), now)
        return any(change.kind in {Kind.ADDED, Kind.REMOVED} for change in changes)

    def _counted(self, body: Any) -> bool:
        """Whether it was a status.count, which is taken here."""
        if body["type"] != "status.count":
            return False
        payload = body["payload"]
        self.everyone, self.degraded = int(payload["onlineCount"]), bool(payload["degraded"])
        self.believed_until = time.monotonic() + float(payload["validFor"])
        self.screen.numbers(self.numbers())
        return True

    async def _names(self) -> None:
        try:
            async for rows, ts in self.api.friends(self.user):
                self.view.page(rows, ts)
                self.names |= {row["id"]: row["name"] for row in rows}
        except FriendsError as problem:
            self.screen.trouble(f"not all names are known: {problem}")

    async def _sync(self) -> None:
        await asyncio.sleep(random.uniform(0, JITTER_SECONDS))
        try:
            await self.api.request_sync(self.user)
        except FriendsError as problem:
            self.screen.trouble(f"no sync was asked for: {problem}")

    async def _doubt(self) -> None:
        """Says so when presence becomes unknown, or known again."""
        trusted = True
        while True:
            await asyncio.sleep(1.0)
            numbers = self.numbers()
            if numbers.trusted != trusted:
                trusted = numbers.trusted
                self.screen.numbers(numbers)
