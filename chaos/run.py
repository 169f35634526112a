"""A run: cycles of churn, a fault, and a quiet time in which the judge checks the invariants."""

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
from chaos.graph import UNAVAILABLE, GraphObserver
from chaos.nemesis import Fault
from chaos.people import FAILURES, REQUEST_TIMEOUT, Address, Client, HttpClient, LightClient, SdkClient
from chaos.rolling import NEW_SESSIONS
from chaos.stack import Stack

LEAD_SECONDS, FAULT_SECONDS, TAIL_SECONDS = 1.5, 5.0, 1.5
"""Churn before, during and after a fault."""
ACTS_PER_SECOND = 6.0
"""Acts a second."""
MAX_RECOVERY_SECONDS = 90.0
"""Quiet time after which a violation is a loss."""
POLL_SECONDS = 0.2


@dataclass
class Cycle:
    """One fault and its result."""

    fault: str
    acts: list[Act]
    recovery: float = 0.0
    """Seconds of quiet time until everything was right."""
    last: list[str] = field(default_factory=list)
    """The last violations that were resolved."""
    settled: int = 0
    """Committed changes."""
    repeats: int = 0
    lost: list[str] = field(default_factory=list)


class Run:
    """A population on a running stack."""

    def __init__(
        self, *, stack: Stack, clients: dict[str, Client], http_client: HttpClient, graph: GraphObserver
    ) -> None:
        self.stack = stack
        self.clients = clients
        self.http_client = http_client
        self.graph = graph
        self.churn = Churn(clients, http_client, graph)
        self._admin: dict[str, dict[str, Any]] = {}
        self._sessions_read = False

    @property
    def records(self) -> list[judge.ClientRecord]:
        """The records of all clients."""
        return [client.record for client in self.clients.values()]

    async def cycle(self, fault: Fault, chance: random.Random, acts: list[Act]) -> Cycle:
        """Run churn with a fault in its middle, wait for quiet, and judge."""
        made = Cycle(fault.name, acts)
        await self._begin()
        repeats = judge.repeats(self.records)
        churning = asyncio.create_task(self.churn.play(acts))
        await asyncio.sleep(LEAD_SECONDS)
        async with fault.inflict(self.stack, chance):
            await asyncio.sleep(FAULT_SECONDS)
        await churning
        began = time.monotonic()
        wrong, made.last = await self.quiet()
        made.recovery = time.monotonic() - began
        made.lost = wrong + await self._judged()
        made.settled = len(self.graph.committed_changes)
        made.repeats = judge.repeats(self.records) - repeats
        return made

    async def quiet(self) -> tuple[list[str], list[str]]:
        """Wait until nothing is wrong. Returns violations after `MAX_RECOVERY_SECONDS`, and those of the last poll but one."""
        until = time.monotonic() + MAX_RECOVERY_SECONDS
        wrong, last = ["graph and origin could not be read"], []
        while wrong and time.monotonic() < until:
            last = wrong[:5]
            await asyncio.sleep(POLL_SECONDS)
            with suppress(*UNAVAILABLE, *FAILURES):
                wrong = judge.wrong_now(self.records, await self.graph.rows(), await self.here_now())
        return wrong, last

    async def here_now(self) -> set[str]:
        """Who is on any presence shard, asked as a member of each."""
        found: set[str] = set()
        for shard, session in (await self._sessions()).items():
            path = f"/v2/presence/sub-key/{session['subscribeKey']}/channel/{shard}"
            reply = await self.http_client.get(path, session, REQUEST_TIMEOUT, limit="1000")
            found.update(one if isinstance(one, str) else one["uuid"] for one in reply["uuids"])
        return found

    async def may_read_others(self) -> list[str]:
        """Rule 5: a token of one user on another's inbox and on presence events."""
        one, other, *_ = self.clients
        session = await self.http_client.session(one)
        wrong = []
        for channel in (f"inbox.{other}", f"{session['channels']['presence']}-pnpres"):
            with suppress(*FAILURES):
                await self.http_client.get(
                    f"/v2/subscribe/{session['subscribeKey']}/{channel}/0", session, REQUEST_TIMEOUT, tt="0"
                )
                wrong.append(f"{one} may read {channel}")
        return wrong

    async def _sessions(self) -> dict[str, dict[str, Any]]:
        """One session for each presence channel that was ever assigned."""
        if not self._sessions_read:
            for user in self.clients:
                session = await self.http_client.session(user)
                self._admin[session["channels"]["presence"]] = session
            self._sessions_read = True
        return self._admin

    async def _begin(self) -> None:
        self._sessions_read = False
        self.graph.committed_changes.clear()
        self.churn.changed.clear()
        rows, clock = await self.graph.rows(), await self.graph.clock()
        for user, client in self.clients.items():
            online = client.record.connected and client.connected_at is not None and rows[user].online
            client.record.synced_at = clock if online else None

    async def _judged(self) -> list[str]:
        rows, churn = await self.graph.rows(), self.churn
        return [
            *judge.missing_changes(
                self.records, rows, self.graph.committed_changes, churn.changed, churn.hidden
            ),
            *judge.disordered(self.records, churn.hidden),
            *judge.disclosed(self.records, churn.ends),
            *await self.may_read_others(),
        ]


@asynccontextmanager
async def populated(stack: Stack, people: int, officials: int, chance: random.Random) -> AsyncIterator[Run]:
    """Users with friends on this stack, two thirds of them online, all views right."""
    keys, neo4j = stack.access, stack.engines.neo4j
    address = Address(
        stack.api, stack.origin, keys.subscribe_key, keys.jwt_secret, keys.jwt_audience, keys.jwt_issuer
    )
    graph = GraphObserver(uri=neo4j.uri, user=neo4j.user, password=neo4j.password)
    ids = [f"p{number:03}" for number in range(people)]
    pairs = {(one, other) for one in ids for other in chance.sample(ids, 5) if one < other}
    await graph.create(ids, sorted(pairs))
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as http:
        http_client = HttpClient(http, address)
        clients: dict[str, Client] = {
            user: SdkClient(user, http_client) if number < officials else LightClient(user, http_client)
            for number, user in enumerate(ids)
        }
        run = Run(stack=stack, clients=clients, http_client=http_client, graph=graph)
        watching = [asyncio.create_task(graph.watch()), asyncio.create_task(stack.watch())]
        try:
            for client in list(clients.values())[: people * 2 // 3]:
                await client.connect()
            wrong, _ = await run.quiet()
            if wrong:
                raise RuntimeError(f"never right, without any fault: {wrong[:5]}")
            yield run
        finally:
            for task in watching:
                task.cancel()
            await asyncio.gather(
                *(client.disconnect() for client in clients.values()), return_exceptions=True
            )
            await graph.close()


def acts_of(run: Run, chance: random.Random, fault: Fault) -> list[Act]:
    """The acts of one cycle. The first third of the users acts only in `NEW_SESSIONS`."""
    people = list(run.clients)
    seconds = LEAD_SECONDS + fault.setup_seconds + FAULT_SECONDS + TAIL_SECONDS
    acts = script(chance, people[len(people) // 3 :], seconds, ACTS_PER_SECOND)
    if fault is NEW_SESSIONS:
        acts += [Act(0.1 * number, "flap", user, "") for number, user in enumerate(people)]
    return sorted(acts, key=lambda act: act.at)


def write_trace(file: Path, seed: int, cycles: Sequence[Cycle], run: Run) -> None:
    """Write all that is needed to repeat a run, and the messages of every inbox."""
    with file.open("w") as out:
        out.write(json.dumps({"seed": seed, "people": len(run.clients)}) + "\n")
        for cycle in cycles:
            out.write(json.dumps({"cycle": asdict(cycle)}) + "\n")
        for record in run.records:
            out.write(json.dumps({"inbox": record.user, "messages": record.messages}) + "\n")
