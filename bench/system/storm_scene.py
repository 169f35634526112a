"""One scene of a storm: people leave, some of them watch, people return; and what that cost. Knows our stack's wire.

Who returns does so as a new client, whose view is empty; who watches keeps the view. A view is right when it shows
exactly the friends who are there.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Collection
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field

import numpy as np

from bench.harness.live_users import retry_delay
from bench.peers.friends import Friends
from bench.peers.ours import Ours
from bench.peers.views import View, Views
from graph_service.model.sharding import ShardMap
from graph_service.valkey.client import Valkey
from local_stack.data.generate import Population, generate
from pubnub_bridge.store import keys

AT_ONCE = 80
"""Clients that act at one moment: below MAX_CONCURRENT_REQUESTS, above which the API sends callers away for some seconds."""
RETRY_SECONDS = (0.2, 1.0)
"""Seconds, from and to, until a client that was sent away tries again."""
LOOK_S = 0.05
PATIENCE_S = 120.0
OVERTAKEN_S = 0.5
"""Seconds until a goodbye is said again: the first may have overtaken the last poll, which makes present once more."""
CALM_S = 8.0
SURE_S = 2.0
"""Seconds for which all views must have stayed right."""


@dataclass(frozen=True)
class Town(Friends):
    """Many people; of their friends only those who are online are kept here."""

    whole: Population | None = None

    def population(self) -> Population:
        """See `Friends`."""
        return self.whole or super().population()


def town(users: int, online: float, seed: int) -> Town:
    """People with 500 to 1,000 friends each, and who of them is online."""
    whole = generate(users, 500, 1000, seed)
    here = np.zeros(users, bool)
    here[np.random.default_rng(seed).choice(users, int(users * online), replace=False)] = True
    of: list[set[int]] = [set() for _ in range(users)]
    for a, b in whole.pairs[here[whole.pairs].all(axis=1)].tolist():
        of[a].add(b)
        of[b].add(a)
    return Town(of, np.flatnonzero(here).tolist(), seed, whole)


class Eyes(Views):
    """Everybody's view, kept from scene to scene."""

    def expect(self, right: dict[int, set[int]], now: float) -> None:
        """From now on this is right; views of others are not looked at."""
        self._right, self._right_since = right, {}
        for user in right:
            self._views.setdefault(user, View())
            self.judge(user, now)

    def view_of(self, user: int) -> View | None:
        """See `Views`; also of people who are not judged now."""
        return self._views.setdefault(user, View())

    def judge(self, user: int, at: float) -> None:
        """See `Views`."""
        if user in self._right:
            super().judge(user, at)

    def fresh(self, user: int) -> None:
        """A new client, which knows nobody."""
        self._views[user] = View()
        self._right_since.pop(user, None)


@dataclass
class Figures:
    """What one scene took."""

    what: str
    users: int
    """Who left or came."""
    watchers: int
    right_s: float = 0.0
    """From the first act on until every view was right, for good."""
    acted_s: float = 0.0
    """Until the last client had done its act."""
    hold_s: float = 0.0
    window_s: float = 0.0
    """What of it had to be waited for by the settings."""
    wrong: int = 0
    """Views that never became right."""
    offlines: int = 0
    """Offlines that somebody heard."""
    onlines: int = 0
    syncs: int = 0
    again: dict[str, int] = field(default_factory=dict)
    """Acts that failed and were done again, by reason."""
    publishes: int = 0
    flags: int = 0
    """Users whose state was written to the graph."""
    peak_entries: int = 0
    """Entries of all streams, at the most."""
    degraded: str | None = None
    """What clients were told meanwhile, by status.count."""
    cpu_s: dict[str, float] = field(default_factory=dict)

    @property
    def aside_s(self) -> float:
        """The same without hold and window."""
        return max(0.0, self.right_s - self.hold_s - self.window_s)


class Stage:
    """The people of one running stack."""

    def __init__(self, ours: Ours, friends: Friends, valkey: Valkey, shards: ShardMap) -> None:
        self.here: set[int] = set()
        self._came: set[int] = set()
        self.again: Counter[str] = Counter()
        self._ours, self._friends, self._valkey = ours, friends, valkey
        self._streams = [
            key(one) for one in range(shards.partitions) for key in (keys.presence_log, keys.inbox)
        ]
        self._heard: Counter[str] = Counter()
        self._reason: str | None = None
        self.eyes = ours.views = Eyes({})
        self._before = ours.backend.on_reply
        ours.backend.on_reply = self._hear

    async def act(
        self, what: str, leave: Collection[int], join: Collection[int], away_s: float = 0.0
    ) -> Figures:
        """Some leave; after `away_s` seconds from the first, some come; then it is waited until all views are right."""
        acting = set(leave) | set(join)
        figures = Figures(what, len(acting), len(self.here - acting))
        async with self._measured(figures):
            began = time.monotonic()
            await self._all(self._ours.leave, leave)
            if away_s or not join:
                await asyncio.sleep(OVERTAKEN_S)
                await self._all(self._ours.leave, leave)
            self.here -= set(leave)
            await asyncio.sleep(max(0.0, began + away_s - time.monotonic()))
            for one in join:
                self.eyes.fresh(one)
            self.here |= set(join)
            right = {one: self._friends.of[one] & self.here for one in self.here}
            self.eyes.expect(right, time.monotonic())
            begin = time.monotonic() if join and leave else began
            await self._all(self._comes, join)
            figures.acted_s = time.monotonic() - begin
            await self._until_right()
            figures.right_s = max(0.0, self.eyes.all_right_at - begin)
            figures.wrong = self.eyes.wrong
        return figures

    async def until_calm(self) -> None:
        """Until no stream has anything and the window of the last scene has closed."""
        quiet = time.monotonic()
        async with asyncio.timeout(PATIENCE_S):
            while time.monotonic() - quiet < CALM_S:
                await asyncio.sleep(LOOK_S)
                if sum(await self._valkey.lengths(self._streams)):
                    quiet = time.monotonic()

    async def _until_right(self) -> None:
        """Until all views were right and all streams empty for a moment, or for as long as patience lasts."""
        began = quiet = time.monotonic()
        while time.monotonic() - began < PATIENCE_S and time.monotonic() - quiet < SURE_S:
            await asyncio.sleep(LOOK_S)
            if self.eyes.wrong or sum(await self._valkey.lengths(self._streams)):
                quiet = time.monotonic()

    async def _comes(self, user: int) -> None:
        """As an app that was just started, the first time; afterwards it has a session."""
        try:
            await self._ours.join(user, fresh=user not in self._came)
        except (OSError, TimeoutError):
            self._ours.drop([user])  # else its poll would stay open beside that of the next try
            raise
        self._came.add(user)

    async def _all(self, act: Callable[[int], Awaitable[None]], users: Collection[int]) -> None:
        gate = asyncio.Semaphore(AT_ONCE)

        async def one(user: int) -> None:
            async with gate:
                while True:
                    try:
                        return await act(user)
                    except (OSError, TimeoutError) as failure:
                        self.again[f"{type(failure).__name__}: {failure}"[:60]] += 1
                        await asyncio.sleep(retry_delay(failure, RETRY_SECONDS))

        await asyncio.gather(*map(one, users))

    @asynccontextmanager
    async def _measured(self, figures: Figures) -> AsyncIterator[None]:
        self._heard.clear()
        self.again.clear()
        self._reason = None
        cpu_seconds, counts = self._ours.cpu_seconds(), await self._counts()
        peak = asyncio.create_task(self._peak(figures))
        try:
            yield
        finally:
            peak.cancel()
            with suppress(asyncio.CancelledError):
                await peak
        figures.offlines, figures.onlines, figures.syncs = (
            self._heard[kind] for kind in ("offline", "online", "sync")
        )
        figures.again = dict(self.again)
        after = await self._counts()
        figures.publishes, figures.flags = (int(b - a) for a, b in zip(counts, after, strict=True))
        figures.degraded = self._reason
        figures.cpu_s = {
            name: round(now - cpu_seconds[name], 2) for name, now in self._ours.cpu_seconds().items()
        }

    async def _peak(self, figures: Figures) -> None:
        while True:
            figures.peak_entries = max(figures.peak_entries, sum(await self._valkey.lengths(self._streams)))
            await asyncio.sleep(0.1)

    async def _counts(self) -> tuple[float, float]:
        """Publishes sent and flags written so far, from the service's own metrics."""
        text = (
            await self._ours.backend.api.ask(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n")
        ).decode()
        wanted = ('friends_publishes_total{outcome="sent"}', 'friends_flag_writes_total{outcome="changed"}')
        found = dict(line.rsplit(" ", 1) for line in text.splitlines() if line.startswith(wanted))
        publishes, flags = (float(found.get(name, 0)) for name in wanted)
        return publishes, flags

    def _hear(self, user: str, body: bytes, at: float) -> None:
        self._heard["offline"] += body.count(b'"friend.offline"')
        self._heard["online"] += body.count(b'"friend.online"')
        self._heard["sync"] += body.count(b'"friends.sync"')
        if b'"degraded":true' in body:
            self._reason = body.partition(b'"reason":"')[2].partition(b'"')[0].decode()
        self._before(user, body, at)
