"""Load generator: clients that join and leave by a trace, and the number and age of the notifications they receive.

Open loop: a transition begins when it is due, however long earlier ones take, and every latency counts from the due time.
The age of a change follows from its event id. Starts no server.
"""

from __future__ import annotations

import asyncio
import re
import time
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from hdrh.histogram import HdrHistogram

from bench.harness.live_users import FAILURES, Backend, UserClient, retry_delay, send_heartbeats
from bench.harness.measure import Stopwatch, Timing
from bench.harness.traces import Transition
from pubnub_bridge.client.connection_info import ConnectionInfo

EVENT_ID_PREFIX = b"evt_presence_"
SAMPLED = 4
"""Ages are measured in one of so many replies."""
MAX_AGE_MILLISECONDS = 600_000
CONCURRENT_CONNECTS = 24
"""Concurrent connects while all clients join."""
_EVENT = re.compile(rb"evt_presence_([A-Za-z0-9-]+)_(\d+)")


@dataclass(frozen=True, slots=True)
class Freshness:
    """Ages of changes in milliseconds when clients received them, beyond the debounce time."""

    p50: float
    p99: float
    most: float

    @classmethod
    def of(cls, histogram: HdrHistogram) -> Freshness:
        """Zeros for an empty histogram."""
        p50, p99 = (float(histogram.get_value_at_percentile(share)) for share in (50, 99))
        return cls(p50, p99, float(histogram.get_max_value()))


class MessageListener:
    """Counts the notifications of all clients. The event id of a change contains its time."""

    def __init__(self, debounce_ms: int) -> None:
        self.window_ms = 0
        self.due: dict[bytes, int] = {}
        """When each user's last transition was due, in Unix milliseconds."""
        self._debounce_ms = debounce_ms
        self.begin()

    def begin(self) -> None:
        """Reset all counters."""
        self.notifications = self.replies = 0
        self.since_event = HdrHistogram(1, MAX_AGE_MILLISECONDS, 3)
        """Age since PubNub's presence event, which in interval mode comes up to one interval after the transition."""
        self.beyond = HdrHistogram(1, MAX_AGE_MILLISECONDS, 3)
        """Age of the oldest change in a reply since its event, beyond debounce time and window."""
        self.since_due = HdrHistogram(1, MAX_AGE_MILLISECONDS, 3)
        """Age since the user's transition was due."""

    def on_reply(self, _user: str, body: bytes, _at: float) -> None:
        """Count one subscribe reply."""
        number = body.count(EVENT_ID_PREFIX)
        if not number:
            return
        self.notifications += number
        self.replies += 1
        if self.replies % SAMPLED == 0:
            self._sample(body, time.time_ns() // 1_000_000 - self._debounce_ms)

    def _sample(self, body: bytes, now: int) -> None:
        oldest = 0
        for user, stamp in _EVENT.findall(body):
            at = int(stamp)
            oldest = max(oldest, now - at)
            self.since_event.record_value(_within(now - at))
            due = self.due.get(user, MAX_AGE_MILLISECONDS + at)
            if due <= at:
                self.since_due.record_value(_within(now - due))
        self.beyond.record_value(_within(oldest - self.window_ms))


def _within(ms: int) -> int:
    return min(MAX_AGE_MILLISECONDS, max(1, ms))


class Crowd:
    """The clients of all users in a trace."""

    def __init__(self, *, connection_info: ConnectionInfo, debounce_ms: int, fresh: bool) -> None:
        self.listener = MessageListener(debounce_ms)
        self.backend = Backend(connection_info=connection_info, on_reply=self.listener.on_reply)
        self.counters: Counter[str] = Counter()
        """Transitions begun, done and failed."""
        self.clients: dict[str, UserClient] = {}
        self._fresh = fresh
        self._under_way: set[asyncio.Task[None]] = set()
        self._heartbeats = asyncio.create_task(send_heartbeats(self.clients))
        self._watch = Stopwatch()

    async def gather(self, users: Sequence[str]) -> None:
        """Connect all users as fast as the system allows."""
        remaining = iter(users)

        async def connect_next() -> None:
            for user in remaining:
                await self._connect(user)

        async with asyncio.TaskGroup() as group:
            for _ in range(CONCURRENT_CONNECTS):
                group.create_task(connect_next())

    async def _connect(self, user: str) -> None:
        client = self._client(user)
        while not client.connected:
            try:
                await client.join()
            except FAILURES as failure:
                self.counters["rejected while gathering"] += 1
                await asyncio.sleep(retry_delay(failure))

    async def play(self, transitions: Iterable[Transition], speed: float = 1.0) -> None:
        """Begin every transition when it is due; returns when the last has begun."""
        began = time.monotonic()
        for transition in transitions:
            due = began + transition.at / speed
            if (wait := due - time.monotonic()) > 0:
                await asyncio.sleep(wait)
            task = asyncio.create_task(self._turn(transition, due))
            self._under_way.add(task)
            task.add_done_callback(self._under_way.discard)

    async def _turn(self, transition: Transition, due: float) -> None:
        late = time.monotonic() - due
        self.listener.due[transition.user.encode()] = round((time.time() - late) * 1000)
        self.counters["begun"] += 1
        client = self._client(transition.user)
        try:
            if transition.joins:
                await client.join(fresh=self._fresh)
                self._watch.took(time.monotonic() - due)
            else:
                await client.leave()
        except FAILURES:
            self.counters["failed"] += 1
        else:
            self.counters["done"] += 1

    def begin(self) -> None:
        """Count from zero."""
        self.listener.begin()
        self.counters.clear()
        self._watch = Stopwatch()

    @property
    def connect_timing(self) -> Timing:
        """From a due join to the response to its sync request."""
        return self._watch.timing()

    def close(self) -> None:
        """Close all connections without a leave."""
        self._heartbeats.cancel()
        for task in self._under_way:
            task.cancel()
        for client in self.clients.values():
            client.drop()
        self.backend.close()

    def _client(self, user: str) -> UserClient:
        if user not in self.clients:
            self.clients[user] = UserClient(self.backend, user)
        return self.clients[user]
