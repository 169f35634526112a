"""System under test: our stack as ``friends-presence up`` starts it, with cheap clients.

Options are the defaults, except those of the variant under test.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import shutil
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

from bench.harness import loaded
from bench.harness.live_users import Backend, UserClient, send_heartbeats
from bench.peers.arrivals import Arrivals
from bench.peers.friends import Friends
from bench.peers.system import NOT_IN_TRACE, System
from graph_service.graph.driver import connect
from local_stack.stack.up import Choice, Stack, stack
from pubnub_bridge.client.connection_info import read_connection_info

ONLINE, OFFLINE = b'"friend.online"', b'"friend.offline"'
CHANGE = re.compile(
    rb'"eventId":"evt_presence_u(\d+)_\d+","ts":"[^"]*","payload":\{"userId":"[^"]*","(name|lastSeen)"'
)


async def prepare(folder: Path, friends: Friends) -> Path:
    """Load the users into a new graph by the stack's import; returns its data folder."""
    return await loaded.load(folder, friends.population(), friends.seed)


class Ours(System):
    """The stack and its clients."""

    name = "friends-presence"

    def __init__(self, *, made: Stack, file: Path, friends: Friends) -> None:
        super().__init__(Arrivals(len(friends.of)))
        found = read_connection_info(file)
        self.made = made
        self._settings = found.settings
        self.backend = Backend(connection_info=found, on_reply=self._on_reply)
        self._ids = friends.population().ids
        self._clients = {one: UserClient(self.backend, id_) for one, id_ in enumerate(self._ids)}
        self._heartbeats = asyncio.create_task(send_heartbeats(self._clients))

    async def join(self, user: int, number: int = NOT_IN_TRACE, fresh: bool = True) -> None:
        """See `System`."""
        await self._clients[user].join(fresh)

    async def leave(self, user: int, number: int = NOT_IN_TRACE) -> None:
        """See `System`."""
        await self._clients[user].leave()

    def drop(self, users: Iterable[int]) -> None:
        """See `System`."""
        for one in users:
            self._clients[one].drop()

    def pids(self) -> Mapping[str, int]:
        """See `System`."""
        return {server.engine.name: server.pid for server in self.made.servers}

    async def still_online(self) -> int:
        """See `System`: the flags in the graph."""
        async with connect(self._settings) as graph:
            row = await graph.row("online_count") or {}
        return int(next(iter(row.values())))

    def close(self) -> None:
        self._heartbeats.cancel()
        self.drop(self._clients)
        self.backend.close()

    def _on_reply(self, user: str, body: bytes, at: float) -> None:
        recipient = int(user[1:])
        if self.views is not None:
            self._view(recipient, body, at)
            return
        numbers, delivered = self.arrivals.number, self.arrivals.delivered
        for who, kind in CHANGE.findall(body):
            number = numbers(int(who), kind == b"name")
            if number is not None:
                delivered(number, recipient, at)

    def _view(self, recipient: int, body: bytes, at: float) -> None:
        view = self.views and self.views.view_of(recipient)
        if not view:
            return
        for envelope in json.loads(body)["m"]:
            message = envelope["d"]
            payload = message["payload"]
            if message["type"] == "friends.sync":
                view.sync([int(one[1:]) for one in payload["onlineFriends"]], message["ts"])
            for event in payload.get("events", [message]):
                if event["type"] in {"friend.online", "friend.offline"}:
                    online = event["type"] == "friend.online"
                    view.apply(int(event["payload"]["userId"][1:]), online, event["ts"])
        assert self.views
        self.views.judge(recipient, at)


@asynccontextmanager
async def running(data: Path, friends: Friends, more: Mapping[str, str] | None = None) -> AsyncIterator[Ours]:
    """Run on a copy of the data, so that each run begins with the same. `more` are options of the service."""
    copy, file = data.with_name("run"), data.with_name("stack.json")
    shutil.copytree(data, copy, symlinks=True)
    engines = {"NEO4J_URI", "REDIS_URL", "PUBNUB_SUBSCRIBE_KEY"}
    environ = {name: value for name, value in os.environ.items() if name not in engines}
    environ |= dict(more or {})
    try:
        async with stack(Choice(copy, json=file, people=0, environ=environ), lambda _said: None) as made:
            ours = Ours(made=made, file=file, friends=friends)
            settings = read_connection_info(file).settings
            ours.debounce_seconds = float(
                environ.get("DEBOUNCE_LEAVE_SECONDS", settings.debounce_leave_seconds)
            )
            ours.window_seconds = float(environ.get("BATCH_WINDOW_MIN_SECONDS", 0.0))
            try:
                yield ours
            finally:
                ours.close()
    finally:
        shutil.rmtree(copy, ignore_errors=True)
