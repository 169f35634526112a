"""How each operation of the mix is asked over HTTP, and about whom. Measures nothing; keeps which call was which."""

from __future__ import annotations

import asyncio
import random
from collections import deque

import numpy as np

from bench.graph import workload
from bench.graph.workload import Op, Popular
from bench.harness.live_users import TROUBLES, Wire
from local_stack.data.generate import Population

BUSIEST = 40
"""Users with most friends who are asked about: so many that no rate limit of one of them is met."""


class Neighbours:
    """Who is whose friend in a made-up population."""

    def __init__(self, population: Population) -> None:
        both = np.concatenate([population.pairs, population.pairs[:, ::-1]])
        self._friends = both[np.argsort(both[:, 0], kind="stable"), 1]
        self._begins = np.searchsorted(np.sort(both[:, 0]), np.arange(len(population.ids) + 1))
        self._ids = population.ids
        self._places = {user: place for place, user in enumerate(population.ids)}

    def most(self, number: int) -> list[str]:
        """Those with the most friends, so many of them that no rate limit of one is met."""
        degrees = np.diff(self._begins)
        return [self._ids[int(place)] for place in np.argsort(-degrees, kind="stable")[:number]]

    def one(self, user: str, chance: random.Random) -> str:
        """A friend, as the population was made."""
        place = self._places[user]
        begin, end = int(self._begins[place]), int(self._begins[place + 1])
        return self._ids[int(self._friends[chance.randrange(begin, end)])]


class Asker:
    """Asks the API one operation after the other, as the mix has them."""

    def __init__(self, wire: Wire, population: Population, seed: int) -> None:
        chance = self._chance = random.Random(seed)
        self._wire = wire
        self._popular = Popular(population.ids, chance)
        self._neighbours = Neighbours(population)
        self._busiest = self._neighbours.most(BUSIEST)
        self._drawn = workload.operations(chance, workload.mix())
        self._asked: deque[tuple[str, str]] = deque(maxlen=10_000)
        self.ops: dict[int, Op] = {}
        """Of the calls under way or done, by their numbers."""
        self.refused: dict[int, str] = {}
        """Which calls were not answered well, and how."""

    async def page(self, number: int) -> None:
        """A page of 100 of anybody."""
        await self._wire.call("GET", "/v1/friends?limit=100", self._popular.one())

    async def whole_page(self, number: int) -> None:
        """A page of 1,000 of somebody with as many friends."""
        await self._wire.call("GET", "/v1/friends?limit=1000", self._busiest[number % BUSIEST])

    async def sync(self, number: int) -> None:
        """The sync of such a one; what is refused is waited out, so that it counts as late."""
        try:
            await self._wire.call("GET", "/v1/sync", self._busiest[number % BUSIEST])
        except TROUBLES:
            await asyncio.sleep(1.0)

    def begin(self) -> None:
        """Forget what was asked."""
        self.ops.clear()
        self.refused.clear()

    async def ask(self, number: int) -> None:
        """The next operation."""
        op = self.ops[number] = next(self._drawn)
        method, path, user = self._call(op)
        try:
            await self._wire.call(method, path, user)
        except TROUBLES as trouble:
            self.refused[number] = str(trouble)[:60]

    def _call(self, op: Op) -> tuple[str, str, str]:
        """Method, path and caller."""
        if op is Op.ACCEPT and self._asked:
            asker, asked = self._asked.popleft()
            return "PUT", f"/v1/friends/{asker}", asked
        if op in {Op.ASK, Op.ACCEPT, Op.BLOCK}:
            return self._meets(op)
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

    def _meets(self, op: Op) -> tuple[str, str, str]:
        """Two who need not know each other; an acceptance without a request is one more request."""
        me, other = (self._popular.one(workload.WRITE_SHAPE) for _ in range(2))
        while other == me:
            other = self._popular.one(workload.WRITE_SHAPE)
        if op is Op.BLOCK:
            return "PUT", f"/v1/blocks/{other}", me
        self._asked.append((me, other))
        return "PUT", f"/v1/friends/{other}", me
