"""One scene of a storm: users leave and return while others watch, and its cost.

A user who returns is a new client with an empty view; a user who watches keeps the view. A view is right when it shows
exactly the friends who are online.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Collection
from contextlib import asynccontextmanager, suppress
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from bench.harness.live_users import retry_delay
from bench.peers.friends import Friends
from bench.peers.ours import Ours
from bench.peers.views import View, Views
from graph_service.model.sharding import ShardMap
from graph_service.valkey.client import Valkey
from local_stack.data.generate import Population, generate
from pubnub_bridge.store import keys

MAX_CONCURRENT_ACTS = 80
"""Below MAX_CONCURRENT_REQUESTS, above which the API rejects requests for some seconds."""
RETRY_SECONDS = (0.2, 1.0)
"""Range of the delay before a rejected client retries."""
POLL_SECONDS = 0.05
TIMEOUT_SECONDS = 120.0
REPEAT_LEAVE_SECONDS = 0.5
"""Seconds until leaves are repeated: the first may have overtaken the last poll, which makes the user present again."""
QUIET_SECONDS = 8.0
STAY_RIGHT_SECONDS = 2.0
"""Seconds for which all views must stay right."""


@dataclass(frozen=True)
class Town(Friends):
    """A large population. Only friendships between online users are stored here."""

    whole: Population | None = None

    def population(self) -> Population:
        """See `Friends`."""
        return self.whole or super().population()


def town(users: int, online: float, seed: int) -> Town:
    """Users with 500 to 1,000 friends each; `online` is the share of them that is online."""
    whole = generate(users, 500, 1000, seed)
    flagged = np.zeros(users, bool)
    flagged[np.random.default_rng(seed).choice(users, int(users * online), replace=False)] = True
    of: list[set[int]] = [set() for _ in range(users)]
    for a, b in whole.pairs[flagged[whole.pairs].all(axis=1)].tolist():
        of[a].add(b)
        of[b].add(a)
    return Town(of, np.flatnonzero(flagged).tolist(), seed, whole)


class SceneViews(Views):
    """The views of all users, which stay from scene to scene."""

    def expect(self, right: dict[int, set[int]], now: float) -> None:
        """Set the right views. Views of other users are not judged."""
        self._right, self._right_since = right, {}
        for user in right:
            self._views.setdefault(user, View())
            self.judge(user, now)

    def view_of(self, user: int) -> View | None:
        """See `Views`; also for users who are not judged now."""
        return self._views.setdefault(user, View())

    def judge(self, user: int, at: float) -> None:
        """See `Views`."""
        if user in self._right:
            super().judge(user, at)

    def fresh(self, user: int) -> None:
        """A new client with an empty view."""
        self._views[user] = View()
        self._right_since.pop(user, None)


@dataclass
class Figures:
    """Figures of one scene."""

    what: str
    users: int
    """Users who left or joined."""
    watchers: int
    right_s: float = 0.0
    """Seconds from the first act until every view was right and stayed right."""
    acted_s: float = 0.0
    """Seconds until the last client had acted."""
    debounce_s: float = 0.0
    window_s: float = 0.0
    """Debounce time and batch window by the settings, which are part of `right_s`."""
    wrong: int = 0
    """Views that never became right."""
    offlines: int = 0
    """Received friend.offline events."""
    onlines: int = 0
    syncs: int = 0
    retries: dict[str, int] = field(default_factory=dict)
    """Retried acts by error."""
    publishes: int = 0
    flags: int = 0
    """Flags written to the graph."""
    peak_entries: int = 0
    """Maximum of the entries in all streams."""
    degraded: str | None = None
    """The reason in status.count while it reported `degraded`."""
    cpu_s: dict[str, float] = field(default_factory=dict)

    @property
    def aside_s(self) -> float:
        """`right_s` without debounce time and window."""
        return max(0.0, self.right_s - self.debounce_s - self.window_s)

    def row(self) -> dict[str, Any]:
        """As in the file."""
        found = asdict(self)
        return found | {"hold_s": found.pop("debounce_s"), "again": found.pop("retries")}


class Stage:
    """The users of one running stack."""

    def __init__(self, *, ours: Ours, friends: Friends, valkey: Valkey, shards: ShardMap) -> None:
        self.online: set[int] = set()
        self._sessions: set[int] = set()
        self.retries: Counter[str] = Counter()
        self._ours, self._friends, self._valkey = ours, friends, valkey
        self._streams = [
            key(one) for one in range(shards.partitions) for key in (keys.presence_log, keys.inbox)
        ]
        self._received: Counter[str] = Counter()
        self._reason: str | None = None
        self.views = ours.views = SceneViews({})
        self._next_callback = ours.backend.on_reply
        ours.backend.on_reply = self._on_reply

    async def act(
        self, what: str, leave: Collection[int], join: Collection[int], away_s: float = 0.0
    ) -> Figures:
        """Some users leave; `away_s` seconds after the first, some join. Then wait until all views are right."""
        acting = set(leave) | set(join)
        figures = Figures(what, len(acting), len(self.online - acting))
        async with self._measured(figures):
            began = time.monotonic()
            await self._all(self._ours.leave, leave)
            if away_s or not join:
                await asyncio.sleep(REPEAT_LEAVE_SECONDS)
                await self._all(self._ours.leave, leave)
            self.online -= set(leave)
            await asyncio.sleep(max(0.0, began + away_s - time.monotonic()))
            for one in join:
                self.views.fresh(one)
            self.online |= set(join)
            right = {one: self._friends.of[one] & self.online for one in self.online}
            self.views.expect(right, time.monotonic())
            begin = time.monotonic() if join and leave else began
            await self._all(self._join, join)
            figures.acted_s = time.monotonic() - begin
            await self._until_right()
            figures.right_s = max(0.0, self.views.all_right_at - begin)
            figures.wrong = self.views.wrong
        return figures

    async def until_calm(self) -> None:
        """Wait until all streams are empty and the window of the last scene has closed."""
        quiet = time.monotonic()
        async with asyncio.timeout(TIMEOUT_SECONDS):
            while time.monotonic() - quiet < QUIET_SECONDS:
                await asyncio.sleep(POLL_SECONDS)
                if sum(await self._valkey.lengths(self._streams)):
                    quiet = time.monotonic()

    async def _until_right(self) -> None:
        """Wait until all views are right and all streams empty for `STAY_RIGHT_SECONDS`, or until the timeout."""
        began = quiet = time.monotonic()
        while time.monotonic() - began < TIMEOUT_SECONDS and time.monotonic() - quiet < STAY_RIGHT_SECONDS:
            await asyncio.sleep(POLL_SECONDS)
            if self.views.wrong or sum(await self._valkey.lengths(self._streams)):
                quiet = time.monotonic()

    async def _join(self, user: int) -> None:
        """Join with a new session the first time, and with the same session afterwards."""
        try:
            await self._ours.join(user, fresh=user not in self._sessions)
        except (OSError, TimeoutError):
            self._ours.drop([user])  # otherwise its poll would stay open during the retry
            raise
        self._sessions.add(user)

    async def _all(self, act: Callable[[int], Awaitable[None]], users: Collection[int]) -> None:
        slots = asyncio.Semaphore(MAX_CONCURRENT_ACTS)

        async def one(user: int) -> None:
            async with slots:
                while True:
                    try:
                        return await act(user)
                    except (OSError, TimeoutError) as failure:
                        self.retries[f"{type(failure).__name__}: {failure}"[:60]] += 1
                        await asyncio.sleep(retry_delay(failure, RETRY_SECONDS))

        await asyncio.gather(*map(one, users))

    @asynccontextmanager
    async def _measured(self, figures: Figures) -> AsyncIterator[None]:
        self._received.clear()
        self.retries.clear()
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
            self._received[kind] for kind in ("offline", "online", "sync")
        )
        figures.retries = dict(self.retries)
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
        """Publishes sent and flags written so far, from the service's metrics."""
        text = (
            await self._ours.backend.api.ask(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n")
        ).decode()
        wanted = ('friends_publishes_total{outcome="sent"}', 'friends_flag_writes_total{outcome="changed"}')
        found = dict(line.rsplit(" ", 1) for line in text.splitlines() if line.startswith(wanted))
        publishes, flags = (float(found.get(name, 0)) for name in wanted)
        return publishes, flags

    def _on_reply(self, user: str, body: bytes, at: float) -> None:
        self._received["offline"] += body.count(b'"friend.offline"')
        self._received["online"] += body.count(b'"friend.online"')
        self._received["sync"] += body.count(b'"friends.sync"')
        if b'"degraded":true' in body:
            self._reason = body.partition(b'"reason":"')[2].partition(b'"')[0].decode()
        self._next_callback(user, body, at)
