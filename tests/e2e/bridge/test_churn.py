"""Users come and go, make and end friendships, hide; bridges die in the middle. Then every view equals the graph."""

from __future__ import annotations

import asyncio
import contextlib
import json
import random
from dataclasses import dataclass, field

import aiohttp

from pubnub_bridge.client.friend_list import FriendList
from pubnub_bridge.runtime.bridge import Bridge
from tests.e2e.bridge.conftest import World, eventually, until
from tests.e2e.bridge.test_owners import owner

USERS = [f"user{number}" for number in range(10)]
STEPS = 60


@dataclass
class Person:
    """A plain client: PubNub's protocol and the client's rules, no SDK."""

    user: str
    world: World
    session: aiohttp.ClientSession
    view: FriendList = field(default_factory=FriendList)
    loop: asyncio.Task[None] | None = None

    async def toggle(self) -> None:
        """Come or go."""
        if self.loop is None:
            self.loop = asyncio.create_task(self._listen())
            return
        self.loop.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self.loop
        self.loop = None
        async with self.session.get(
            f"{self._base}/v2/presence/sub-key/demo/channel/{self._shard}/leave?uuid={self.user}"
        ):
            pass

    @property
    def _base(self) -> str:
        return f"http://{self.world.settings.pubnub_origin}"

    @property
    def _shard(self) -> str:
        return self.world.shards.channel(self.world.shards.shard(self.user))

    async def _listen(self) -> None:
        place, asked = "0", False
        while True:
            url = f"{self._base}/v2/subscribe/demo/{self._shard},inbox.{self.user}/0?tt={place}&uuid={self.user}"
            async with self.session.get(url) as reply:
                body = json.loads(await reply.text())
            place = body["t"]["t"]
            for envelope in body["m"]:
                self.view.apply(envelope["d"])
            if not asked:
                asked = (await self.world.call("POST", "/v1/sync", self.user))[0] == 200


async def churn(world: World, people: list[Person], chance: random.Random) -> None:
    """Random things, one after the other."""
    for _ in range(STEPS):
        one, other = chance.sample(people, 2)
        what = chance.choices(
            ["toggle", "befriend", "unfriend", "block", "hide", "wait"], [8, 2, 1, 1, 1, 2]
        )[0]
        if what == "toggle":
            await one.toggle()
        elif what == "befriend":
            await world.call("DELETE", f"/v1/blocks/{other.user}", one.user)
            await world.call("PUT", f"/v1/friends/{other.user}", one.user)
            await world.call("PUT", f"/v1/friends/{one.user}", other.user)
        elif what == "unfriend":
            await world.call("DELETE", f"/v1/friends/{other.user}", one.user)
        elif what == "block":
            await world.call("PUT", f"/v1/blocks/{other.user}", one.user)
        elif what == "hide":
            hidden = {"invisible": chance.random() < 0.5}
            await world.call("PUT", "/v1/me/visibility", one.user, json=hidden)
        else:
            await asyncio.sleep(chance.random())


async def right(world: World, people: list[Person]) -> list[str]:
    """What is wrong now: flags that differ from who is there, views that differ from the graph."""
    rows = await world.graph.statement("MATCH (u:User) RETURN u.id AS id, u:Online AS flag")
    flags = {row["id"]: row["flag"] for row in rows}
    wrong = [f"{p.user}: flag {flags[p.user]}" for p in people if flags[p.user] != (p.loop is not None)]
    for person in people:
        if person.loop is not None:
            _, sync = await world.call("GET", "/v1/sync", person.user)
            if person.view.online != set(sync["onlineFriends"]):
                wrong.append(f"{person.user} sees {person.view.online}, should see {sync['onlineFriends']}")
    return wrong


async def all_right(world: World, people: list[Person]) -> bool:
    """Nothing is wrong."""
    return not await right(world, people)


async def _nothing() -> None:
    """No drain: as if killed."""


def kill(bridge: Bridge, task: asyncio.Task[None]) -> None:
    """As kill -9 would: nothing is finished, no lease given back."""
    bridge.drain = _nothing  # type: ignore[method-assign]
    bridge.leases.close = _nothing  # type: ignore[method-assign]
    task.cancel()


async def test_after_churn_and_two_killed_bridges_every_view_equals_the_graph(quiet: World) -> None:
    """Two bridges share the work; one after the other dies in the middle and another takes over."""
    await quiet.create_friends(*USERS)
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:
        people = [Person(user, quiet, session) for user in USERS]
        async with (
            owner(quiet.settings) as (first, first_task),
            owner(quiet.settings) as (second, second_task),
        ):
            await until(lambda: len(first.leases.owned | second.leases.owned) == 4)
            await churn(quiet, people, random.Random(1))
            kill(first, first_task)
            await churn(quiet, people, random.Random(2))
            async with owner(quiet.settings):
                kill(second, second_task)
                await churn(quiet, people, random.Random(3))
                with contextlib.suppress(TimeoutError):
                    await eventually(lambda: all_right(quiet, people), seconds=30)
                assert await right(quiet, people) == []
        for person in people:
            if person.loop is not None:
                person.loop.cancel()
