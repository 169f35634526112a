"""A run: cycle after cycle of churn, a fault, and quiet, in which the judge looks. Knows the order of things and times."""

from __future__ import annotations

import asyncio
import json
import random
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import aiohttp

from chaos import judge
from chaos.churn import Act, Churn, script
from chaos.graph import AWAY, Onlooker
from chaos.nemesis import Fault
from chaos.people import CALL, TROUBLES, Address, Client, Light, Net, Official
from chaos.rolling import MOVED
from chaos.stack import Stack

LEAD, LASTS, TAIL = 1.5, 5.0, 1.5
"""Seconds of churn before, in and after a fault."""
A_SECOND = 6.0
"""Acts a second."""
PATIENCE = 90.0
"""Seconds of quiet after which what is wrong is a loss."""
LOOK = 0.2


@dataclass
class Cycle:
    """One fault and what came of it."""

    fault: str
    acts: list[Act]
    recovery: float = 0.0
    """Seconds of quiet until everything was right."""
    last: list[str] = field(default_factory=list)
    """What was wrong the longest."""
    settled: int = 0
    """Settled changes that were seen."""
    repeats: int = 0
    lost: list[str] = field(default_factory=list)


class Run:
    """The population on a running stack."""

    def __init__(self, stack: Stack, clients: dict[str, Client], net: Net, graph: Onlooker) -> None:
        self.stack = stack
        self.clients = clients
        self.net = net
        self.graph = graph
        self.churn = Churn(clients, net, graph)
        self._admin: dict[str, dict[str, Any]] = {}
        self._looked = False

    @property
    def heard(self) -> list[judge.ClientRecord]:
        """All clients."""
        return [client.heard for client in self.clients.values()]

    async def cycle(self, fault: Fault, chance: random.Random, acts: list[Act]) -> Cycle:
        """Churn, a fault in its middle, quiet, and the judge."""
        made = Cycle(fault.name, acts)
        await self._begin()
        repeats = judge.repeats(self.heard)
        churning = asyncio.create_task(self.churn.play(acts))
        await asyncio.sleep(LEAD)
        async with fault.inflicted(self.stack, chance):
            await asyncio.sleep(LASTS)
        await churning
        began = time.monotonic()
        wrong, made.last = await self.quiet()
        made.recovery = time.monotonic() - began
        made.lost = wrong + await self._judged()
        made.settled = len(self.graph.flips)
        made.repeats = judge.repeats(self.heard) - repeats
        return made

    async def quiet(self) -> tuple[list[str], list[str]]:
        """Wait until nothing is wrong; what still is after `PATIENCE`, and what was at the last look but one."""
        until = time.monotonic() + PATIENCE
        wrong, last = ["nobody could look"], []
        while wrong and time.monotonic() < until:
            last = wrong[:5]
            await asyncio.sleep(LOOK)
            with suppress(*AWAY, *TROUBLES):
                wrong = judge.wrong_now(self.heard, await self.graph.rows(), await self.here_now())
        return wrong, last

    async def here_now(self) -> set[str]:
        """Who is on any presence shard, asked as a member of each."""
        found: set[str] = set()
        for shard, session in (await self._sessions()).items():
            path = f"/v2/presence/sub-key/{session['subscribeKey']}/channel/{shard}"
            reply = await self.net.get(path, session, CALL, limit="1000")
            found.update(one if isinstance(one, str) else one["uuid"] for one in reply["uuids"])
        return found

    async def may_read_others(self) -> list[str]:
        """Rule 5: a token of one user on another's inbox and on presence events."""
        one, other, *_ = self.clients
        session = await self.net.session(one)
        wrong = []
        for channel in (f"inbox.{other}", f"{session['channels']['presence']}-pnpres"):
            with suppress(*TROUBLES):
                await self.net.get(
                    f"/v2/subscribe/{session['subscribeKey']}/{channel}/0", session, CALL, tt="0"
                )
                wrong.append(f"{one} may read {channel}")
        return wrong

    async def _sessions(self) -> dict[str, dict[str, Any]]:
        """Of every channel that was ever handed out."""
        if not self._looked:
            for user in self.clients:
                session = await self.net.session(user)
                self._admin[session["channels"]["presence"]] = session
            self._looked = True
        return self._admin

    async def _begin(self) -> None:
        self._looked = False
        self.graph.flips.clear()
        self.churn.changed.clear()
        rows, clock = await self.graph.rows(), await self.graph.clock()
        for user, client in self.clients.items():
            sure = client.heard.here and client.connected_at is not None and rows[user].online
            client.heard.synced = clock if sure else None

    async def _judged(self) -> list[str]:
        rows, churn = await self.graph.rows(), self.churn
        return [
            *judge.untold(self.heard, rows, self.graph.flips, churn.changed, churn.hid),
            *judge.disordered(self.heard, churn.hid),
            *judge.disclosed(self.heard, churn.ends),
            *await self.may_read_others(),
        ]


@asynccontextmanager
async def populated(stack: Stack, people: int, officials: int, chance: random.Random) -> AsyncIterator[Run]:
    """People with friends on this stack, half of them there, everything right."""
    keys, neo4j = stack.access, stack.engines.neo4j
    address = Address(
        stack.api, stack.origin, keys.subscribe_key, keys.jwt_secret, keys.jwt_audience, keys.jwt_issuer
    )
    graph = Onlooker(neo4j.uri, neo4j.user, neo4j.password)
    ids = [f"p{number:03}" for number in range(people)]
    pairs = {(one, other) for one in ids for other in chance.sample(ids, 5) if one < other}
    await graph.create(ids, sorted(pairs))
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as http:
        net = Net(http, address)
        clients: dict[str, Client] = {
            user: Official(user, net) if number < officials else Light(user, net)
            for number, user in enumerate(ids)
        }
        run = Run(stack, clients, net, graph)
        watching = [asyncio.create_task(graph.watch()), asyncio.create_task(stack.watch())]
        try:
            for client in list(clients.values())[: people * 2 // 3]:
                await client.come()
            wrong, _ = await run.quiet()
            if wrong:
                raise RuntimeError(f"never right, without any fault: {wrong[:5]}")
            yield run
        finally:
            for task in watching:
                task.cancel()
            await asyncio.gather(*(client.go() for client in clients.values()), return_exceptions=True)
            await graph.close()


def acts_of(run: Run, chance: random.Random, fault: Fault) -> list[Act]:
    """What happens in one cycle; the first third of the people never leaves by choice, but comes by a new session."""
    people = list(run.clients)
    seconds = LEAD + fault.takes + LASTS + TAIL
    acts = script(chance, people[len(people) // 3 :], seconds, A_SECOND)
    if fault is MOVED:
        acts += [Act(0.1 * number, "flap", user, "") for number, user in enumerate(people)]
    return sorted(acts, key=lambda act: act.at)


def write_trace(file: Path, seed: int, cycles: Sequence[Cycle], run: Run) -> None:
    """All that is needed to play a run again, and what every inbox heard."""
    with file.open("w") as out:
        out.write(json.dumps({"seed": seed, "people": len(run.clients)}) + "\n")
        for cycle in cycles:
            out.write(json.dumps({"cycle": asdict(cycle)}) + "\n")
        for heard in run.heard:
            out.write(json.dumps({"inbox": heard.user, "messages": heard.messages}) + "\n")
