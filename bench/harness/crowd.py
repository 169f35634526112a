"""People on the wire who come and go by a trace, and what they hear: how many news, and how old each was.

Open loop: a turn begins when it is due, however long the ones before it take, and every latency counts from the due
moment. Knows traces, cheap clients and how an event id tells its moment; starts no server.
"""

from __future__ import annotations

import asyncio
import re
import time
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from hdrh.histogram import HdrHistogram

from bench.harness.live_users import TROUBLES, Person, Wire, beats, patience
from bench.harness.measure import Stopwatch, Timing
from bench.harness.traces import Turn
from pubnub_bridge.client.connection_info import ConnectionInfo

NEWS = b"evt_presence_"
SAMPLED = 4
"""Every so many replies are looked at for their news' ages."""
LONGEST = 600_000
FILLING = 24
"""People who connect at once while the crowd gathers."""
_EVENT = re.compile(rb"evt_presence_([A-Za-z0-9-]+)_(\d+)")


@dataclass(frozen=True, slots=True)
class Freshness:
    """Ages of news in milliseconds when they were heard, beyond the hold."""

    p50: float
    p99: float
    most: float

    @classmethod
    def of(cls, histogram: HdrHistogram) -> Freshness:
        """Zeros where nothing was heard."""
        p50, p99 = (float(histogram.get_value_at_percentile(share)) for share in (50, 99))
        return cls(p50, p99, float(histogram.get_max_value()))


class Ear:
    """Counts what everybody hears. A change carries its own moment in its event id."""

    def __init__(self, hold_ms: int) -> None:
        self.window_ms = 0
        self.due: dict[bytes, int] = {}
        """When each user's last turn was due, in unix milliseconds."""
        self._hold_ms = hold_ms
        self.begin()

    def begin(self) -> None:
        """Count from zero."""
        self.notifications = self.replies = 0
        self.told = HdrHistogram(1, LONGEST, 3)
        """Since PubNub's presence event, which in interval mode comes up to one interval after the act."""
        self.beyond = HdrHistogram(1, LONGEST, 3)
        """The same of the oldest change in a reply, beyond the window as well."""
        self.acted = HdrHistogram(1, LONGEST, 3)
        """Since the person's turn was due."""

    def heard(self, _user: str, body: bytes, _at: float) -> None:
        """Takes a subscribe reply."""
        number = body.count(NEWS)
        if not number:
            return
        self.notifications += number
        self.replies += 1
        if self.replies % SAMPLED == 0:
            self._sample(body, time.time_ns() // 1_000_000 - self._hold_ms)

    def _sample(self, body: bytes, now: int) -> None:
        oldest = 0
        for user, stamp in _EVENT.findall(body):
            at = int(stamp)
            oldest = max(oldest, now - at)
            self.told.record_value(_within(now - at))
            due = self.due.get(user, LONGEST + at)
            if due <= at:
                self.acted.record_value(_within(now - due))
        self.beyond.record_value(_within(oldest - self.window_ms))


def _within(ms: int) -> int:
    return min(LONGEST, max(1, ms))


class Crowd:
    """Everybody who ever comes."""

    def __init__(self, reach: ConnectionInfo, hold_ms: int, fresh: bool) -> None:
        self.ear = Ear(hold_ms)
        self.wire = Wire(reach, self.ear.heard)
        self.counted: Counter[str] = Counter()
        """Turns begun, done and failed."""
        self.people: dict[str, Person] = {}
        self._fresh = fresh
        self._under_way: set[asyncio.Task[None]] = set()
        self._beats = asyncio.create_task(beats(self.people))
        self._watch = Stopwatch()

    async def gather(self, users: Sequence[str]) -> None:
        """Everybody comes, as fast as the system lets them."""
        waiting = iter(users)

        async def line() -> None:
            for user in waiting:
                await self._until_here(user)

        async with asyncio.TaskGroup() as group:
            for _ in range(FILLING):
                group.create_task(line())

    async def _until_here(self, user: str) -> None:
        person = self._person(user)
        while not person.here:
            try:
                await person.come()
            except TROUBLES as trouble:
                self.counted["refused while gathering"] += 1
                await asyncio.sleep(patience(trouble))

    async def play(self, turns: Iterable[Turn], speed: float = 1.0) -> None:
        """Every turn begins when it is due; returns when the last has begun."""
        began = time.monotonic()
        for turn in turns:
            due = began + turn.at / speed
            if (wait := due - time.monotonic()) > 0:
                await asyncio.sleep(wait)
            task = asyncio.create_task(self._turn(turn, due))
            self._under_way.add(task)
            task.add_done_callback(self._under_way.discard)

    async def _turn(self, turn: Turn, due: float) -> None:
        late = time.monotonic() - due
        self.ear.due[turn.user.encode()] = round((time.time() - late) * 1000)
        self.counted["begun"] += 1
        person = self._person(turn.user)
        try:
            if turn.comes:
                await person.come(fresh=self._fresh)
                self._watch.took(time.monotonic() - due)
            else:
                await person.go()
        except TROUBLES:
            self.counted["failed"] += 1
        else:
            self.counted["done"] += 1

    def begin(self) -> None:
        """Count from zero."""
        self.ear.begin()
        self.counted.clear()
        self._watch = Stopwatch()

    @property
    def connected(self) -> Timing:
        """From a due arrival to the answer to the sync that it asks for."""
        return self._watch.timing()

    @property
    def under_way(self) -> int:
        """Turns that are begun and not done."""
        return len(self._under_way)

    def close(self) -> None:
        """Everybody is gone, without a word."""
        self._beats.cancel()
        for task in self._under_way:
            task.cancel()
        for person in self.people.values():
            person.drop()
        self.wire.close()

    def _person(self, user: str) -> Person:
        if user not in self.people:
            self.people[user] = Person(self.wire, user)
        return self.people[user]
