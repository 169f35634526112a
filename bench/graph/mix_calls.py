"""The operations of the mix as HTTP requests, with the users they concern. Records operations and failures by request."""

from __future__ import annotations

import asyncio
import random
from collections import deque
from collections.abc import Iterator

import numpy as np

from bench.graph import workload
from bench.graph.workload import Op, Popular
from bench.harness.live_users import FAILURES, Backend
from local_stack.data.generate import Population

BUSIEST = 40
"""How many of the users with the most friends are callers: enough to stay below each one's rate limit."""


class Neighbours:
    """Friends of each user in a generated population."""

    def __init__(self, population: Population) -> None:
        both = np.concatenate([population.pairs, population.pairs[:, ::-1]])
        self._friends = both[np.argsort(both[:, 0], kind="stable"), 1]
        self._begins = np.searchsorted(np.sort(both[:, 0]), np.arange(len(population.ids) + 1))
        self._ids = population.ids
        self._places = {user: place for place, user in enumerate(population.ids)}

    def most(self, number: int) -> list[str]:
        """The users with the most friends."""
        degrees = np.diff(self._begins)
        return [self._ids[int(place)] for place in np.argsort(-degrees, kind="stable")[:number]]

    def one(self, user: str, chance: random.Random) -> str:
        """A random friend."""
        place = self._places[user]
        begin, end = int(self._begins[place]), int(self._begins[place + 1])
        return self._ids[int(self._friends[chance.randrange(begin, end)])]


class RequestRunner:
    """Sends operations to the API, by default drawn from the mix."""

    def __init__(
        self,
        *,
        backend: Backend,
        population: Population,
        seed: int,
        operations: Iterator[Op] | None = None,
    ) -> None:
        chance = self._chance = random.Random(seed)
        self._backend = backend
        self._popular = Popular(population.ids, chance)
        self._neighbours = Neighbours(population)
        self._busiest = self._neighbours.most(BUSIEST)
        self._operations = operations or workload.operations(chance, workload.mix())
        self._pending_requests: deque[tuple[str, str]] = deque(maxlen=10_000)
        self.ops: dict[int, Op] = {}
        """The operation of each request, by its number."""
        self.rejected: dict[int, str] = {}
        """The failure of each unsuccessful request, by its number."""

    async def page(self, number: int) -> None:
        """A page of 100 friends of a random user."""
        await self._backend.call("GET", "/v1/friends?limit=100", self._popular.one())

    async def whole_page(self, number: int) -> None:
        """A page of 1,000 friends of a user with as many."""
        await self._backend.call("GET", "/v1/friends?limit=1000", self._busiest[number % BUSIEST])

    async def sync(self, number: int) -> None:
        """The sync of such a user. A rejected one waits a second, so that it counts as late."""
        try:
            await self._backend.call("GET", "/v1/sync", self._busiest[number % BUSIEST])
        except FAILURES:
            await asyncio.sleep(1.0)

    def reset(self) -> None:
        """Clear the records."""
        self.ops.clear()
        self.rejected.clear()

    async def ask(self, number: int) -> None:
        """Send the next operation."""
        op = self.ops[number] = next(self._operations)
        method, path, user = self._call(op)
        try:
            await self._backend.call(method, path, user)
        except FAILURES as failure:
            self.rejected[number] = str(failure)[:60]

    def _call(self, op: Op) -> tuple[str, str, str]:
        """Method, path and caller of an operation."""
        if op is Op.ACCEPT and self._pending_requests:
            asker, asked = self._pending_requests.popleft()
            return "PUT", f"/v1/friends/{asker}", asked
        if op in {Op.ASK, Op.ACCEPT, Op.BLOCK}:
            return self._pair_call(op)
        me = self._popular.one(workload.WRITE_SHAPE if op is Op.REMOVE else workload.READ_SHAPE)
        friend = self._neighbours.one(me, self._chance)
        path = {
            Op.PAGE: "/v1/friends?limit=100",
            Op.ONLINE: "/v1/sync",
            Op.SUGGESTIONS: "/v1/suggestions",
            Op.MUTUAL: f"/v1/friends/{friend}/mutual?limit=100",
        }
        method = "DELETE" if op is Op.REMOVE else "GET"
        return method, path.get(op, f"/v1/friends/{friend}"), me

    def _pair_call(self, op: Op) -> tuple[str, str, str]:
        """A call that concerns two random users. An acceptance without a request is a further request."""
        me, other = (self._popular.one(workload.WRITE_SHAPE) for _ in range(2))
        while other == me:
            other = self._popular.one(workload.WRITE_SHAPE)
        if op is Op.BLOCK:
            return "PUT", f"/v1/blocks/{other}", me
        self._pending_requests.append((me, other))
        return "PUT", f"/v1/friends/{other}", me
