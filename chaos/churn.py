"""Churn during faults: a list of acts from a seed, so that a run can be repeated, and their execution."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Sequence
from dataclasses import dataclass, field

from chaos.graph import GraphObserver
from chaos.judge import End
from chaos.people import Client, HttpClient

ACT_WEIGHTS = {"toggle": 12, "flap": 4, "vanish": 2, "befriend": 2, "unfriend": 1, "block": 1, "hide": 1}
FRIENDSHIP_ACTS = {"befriend", "unfriend", "block"}


@dataclass(frozen=True)
class Act:
    """One action of a user, `at` seconds after the beginning."""

    at: float
    what: str
    who: str
    other: str


def script(chance: random.Random, people: Sequence[str], seconds: float, a_second: float) -> list[Act]:
    """Acts for `seconds`. No user vanishes in the second half, since PubNub's timeout would count as our recovery."""
    acts = []
    for number in range(int(seconds * a_second)):
        what = chance.choices(list(ACT_WEIGHTS), list(ACT_WEIGHTS.values()))[0]
        at = number / a_second
        if what == "vanish" and at > seconds / 2:
            what = "toggle"
        who, other = chance.sample(list(people), 2)
        acts.append(Act(round(at, 2), what, who, other))
    return acts


@dataclass
class Churn:
    """Executes acts, and records what the judge needs."""

    clients: dict[str, Client]
    http_client: HttpClient
    graph: GraphObserver
    ends: list[End] = field(default_factory=list)
    changed: set[frozenset[str]] = field(default_factory=set)
    hidden: set[str] = field(default_factory=set)
    _locks: dict[str, asyncio.Lock] = field(default_factory=dict)

    async def play(self, acts: Sequence[Act]) -> None:
        """Execute all acts at their times; returns when every response has arrived."""
        loop = asyncio.get_running_loop()
        began = loop.time()
        async with asyncio.TaskGroup() as group:
            for act in acts:
                await asyncio.sleep(max(0.0, began + act.at - loop.time()))
                group.create_task(self._done(act))

    async def _done(self, act: Act) -> None:
        # Friendship changes run one at a time, so that the time of each end is exact.
        name = "relations" if act.what in FRIENDSHIP_ACTS else act.who
        async with self._locks.setdefault(name, asyncio.Lock()):
            await getattr(self, f"_{act.what}")(act)

    async def _toggle(self, act: Act) -> None:
        client = self.clients[act.who]
        client.record.synced_at = None
        await (client.disconnect() if client.record.connected else client.connect())

    async def _flap(self, act: Act) -> None:
        client = self.clients[act.who]
        if client.record.connected:
            client.record.synced_at = None
            await client.disconnect()
            await asyncio.sleep(0.2)
            await client.connect()

    async def _vanish(self, act: Act) -> None:
        client = self.clients[act.who]
        client.record.synced_at = None
        if client.record.connected:
            await client.disconnect(send_leave=False)

    async def _befriend(self, act: Act) -> None:
        pair = self._touched(act)
        clock = await self.graph.clock()
        self.ends = [
            End(e.one, e.other, e.from_, clock) if e.to is None and {e.one, e.other} == pair else e
            for e in self.ends
        ]
        for one, other in ((act.who, act.other), (act.other, act.who)):
            await self.http_client.until_done("DELETE", f"/v1/blocks/{other}", one)
        for one, other in ((act.who, act.other), (act.other, act.who)):
            await self.http_client.until_done("PUT", f"/v1/friends/{other}", one)

    async def _unfriend(self, act: Act) -> None:
        await self._end(act, "DELETE", f"/v1/friends/{act.other}")

    async def _block(self, act: Act) -> None:
        await self._end(act, "PUT", f"/v1/blocks/{act.other}")

    async def _end(self, act: Act, method: str, path: str) -> None:
        self._touched(act)
        await self.http_client.until_done(method, path, act.who)
        self.ends.append(End(act.who, act.other, await self.graph.clock()))

    async def _hide(self, act: Act) -> None:
        self.hidden.add(act.who)
        visibility = {"invisible": act.at * 10 % 2 < 1}
        await self.http_client.until_done("PUT", "/v1/me/visibility", act.who, visibility)

    def _touched(self, act: Act) -> frozenset[str]:
        pair = frozenset((act.who, act.other))
        self.changed.add(pair)
        return pair
