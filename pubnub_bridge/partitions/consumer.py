"""The partitions this process owns: their holds, their letters, their places in the streams.

Knows streams and the pure objects they feed; knows no lease. An owner reads from the first entry: what stands in
the seen stream at that moment may have been acted on by an earlier owner, and is settled and told again.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import structlog

from graph_service.concurrency import cancellation
from graph_service.errors import FriendsError, QueueUnavailable
from graph_service.model.sharding import ShardMap
from graph_service.valkey.client import FIRST, Entry, Valkey
from pubnub_bridge import metrics
from pubnub_bridge.debounce.debouncer import Debouncer, DebounceResult, DebounceTimes
from pubnub_bridge.debounce.storm_detector import StormChanges, StormDetector, StormThresholds
from pubnub_bridge.fanout.batcher import AdaptiveWindow, BatchWindow
from pubnub_bridge.fanout.publisher import PartitionOutbox, due_times, set_windows
from pubnub_bridge.pubnub_api.presence_lookup import PresenceLookup
from pubnub_bridge.store import keys, presence_log
from pubnub_bridge.store.health import Ages, entry_age
from pubnub_bridge.store.inbox_streams import InboxStreams
from pubnub_bridge.store.presence_log import PresenceLog

BLOCK_MILLISECONDS = 200
"""Milliseconds that one read waits; a new partition is listened to no later."""
LINGER_SECONDS = 0.02
"""Seconds between two reads: what comes meanwhile is read together."""
FIRST_POLL_TIMEOUT_MILLISECONDS = 2000
"""Milliseconds that a new owner waits for its first poll before it settles what the last one left."""
STORM_CHECK_MILLISECONDS = 200
"""Milliseconds between two looks for storms."""
MAX_PENDING_INBOXES = 50_000
"""Inboxes that may wait in memory; the rest stays in the streams."""
_log = structlog.get_logger(__name__)


class OnlineRead(Protocol):
    """The part of `graph_service.friends.presence_flags.Flags` that a take-over needs."""

    async def online_in_shards(self, shards: Sequence[int]) -> Mapping[str, int]:
        """Who is flagged online, with the time of the flag."""


@dataclass(frozen=True, slots=True)
class Needs:
    """What partitions lean on."""

    valkey: Valkey
    shards: ShardMap
    flags: OnlineRead
    inbox: InboxStreams
    log: PresenceLog
    lookups: PresenceLookup
    now: Callable[[], int]
    """PubNub's time in milliseconds."""
    times: DebounceTimes
    pace: BatchWindow
    marks: StormThresholds


class Partitions:
    """Reads the streams of the owned partitions into holds and letters."""

    def __init__(self, needs: Needs) -> None:
        self._needs = needs
        self._positions: dict[str, str] = {}
        self._followers: dict[int, asyncio.Task[None]] = {}
        self._doubts: set[asyncio.Task[None]] = set()
        self._arrived: dict[str, None] = {}
        """Who is still to be promised a sync: the queue may be away when they arrive."""
        self.stopping = False
        """Nothing more is read."""
        self.debouncers: dict[int, Debouncer] = {}
        self.outboxes: dict[int, PartitionOutbox] = {}
        self.settle_woken: Callable[[], None] = lambda: None
        self.letters_woken: Callable[[], None] = lambda: None
        self._window = AdaptiveWindow(needs.pace)
        self._stopped_at = 0.0
        self.storms = StormDetector(needs.marks, needs.shards)
        self._judged = 0
        self.publish_stopped: Callable[[], bool] = lambda: False
        """Whether nothing can be published now: then nothing is taken from the inbox streams."""
        self.follow: Callable[[int], Coroutine[None, None, None]] | None = None
        """The subscribe loop of a partition."""
        self.taken_over: Callable[[int], None] = lambda _partition: None
        self.flapped: Callable[[Sequence[str]], None] = lambda _users: None
        """Told of everyone who undid a change inside the hold."""
        self.died: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        """Fails when a partition's loop did."""

    async def take_over(self, partition: int) -> None:
        """Begin to own a partition: flags, then all that stands in its seen stream, then what comes."""
        needs = self._needs
        debouncer = Debouncer(needs.times)
        debouncer.load(await needs.flags.online_in_shards(list(needs.shards.shards_of(partition))))
        debouncer.begin_at(needs.now() + FIRST_POLL_TIMEOUT_MILLISECONDS)
        key, place = keys.presence_log(partition), FIRST
        while entries := (await needs.valkey.read({key: place})).get(key):
            for entry, body in entries:
                self._noticed(debouncer, debouncer.see(presence_log.decode(body), entry, again=True), entry)
            place = entries[-1][0]
        self.debouncers[partition] = debouncer
        debouncer.extend(self.storms.patient(partition), needs.marks.hold)
        self.outboxes[partition] = PartitionOutbox(partition, needs.pace)
        self._positions |= {key: place, keys.inbox(partition): FIRST}
        if self.follow:
            task = asyncio.create_task(self.follow(partition), name=f"subscribe-{partition}")
            task.add_done_callback(self._follower_ended)
            self._followers[partition] = task
        self.taken_over(partition)
        self.settle_woken()

    def ages(self) -> dict[int, Ages]:
        """How long the oldest change and the oldest notice of each owned partition have waited."""
        now = self._needs.now()
        found = {}
        for partition, debouncer in self.debouncers.items():
            due = debouncer.oldest_due
            notice = entry_age(self.outboxes[partition].oldest) if partition in self.outboxes else 0.0
            late = max(0.0, (now - due) / 1000) if due else 0.0
            found[partition] = Ages(
                debounce_lag_seconds=late, publish_lag_seconds=notice, storm=self.storms.doubt
            )
        return found

    def observed(self, user: str) -> bool | None:
        """What was seen of a user and is on its way into the graph; None for nothing, or where another owns them."""
        debouncer = self.debouncers.get(self._needs.shards.partition(user))
        return None if debouncer is None else debouncer.observed(user)

    @property
    def late(self) -> bool:
        """Whether news goes out later than it should, so that it waits for more company than it must."""
        return self._window.seconds > self._needs.pace.shortest

    def caught_up(self, partition: int) -> None:
        """What PubNub told since the last owner's poll stands in the log; it is read within moments."""
        if debouncer := self.debouncers.get(partition):
            debouncer.begin_at(min(debouncer.begins, self._needs.now() + BLOCK_MILLISECONDS))
            self.settle_woken()

    def let_go(self, partition: int) -> None:
        """Stop owning a partition; what is not done stays in its streams."""
        if follower := self._followers.pop(partition, None):
            follower.cancel()
        self.debouncers.pop(partition, None)
        self.outboxes.pop(partition, None)
        for key in (keys.presence_log(partition), keys.inbox(partition)):
            self._positions.pop(key, None)

    async def stop_following(self) -> None:
        """End the subscribe loops; what they appended is kept."""
        followers = list(self._followers.values())
        self._followers.clear()
        await cancellation.cancel_and_wait([*followers, *self._doubts])

    async def run(self) -> None:
        """Read for ever."""
        while True:
            try:
                await self._read()
            except QueueUnavailable as error:
                _log.warning("reading waits", reason=str(error))
                await asyncio.sleep(1.0)

    async def _read(self) -> None:
        busy = sum(len(outbox.batcher) for outbox in self.outboxes.values())
        wanted = self._positions
        if stopped := self.publish_stopped():
            self._stopped_at = time.monotonic()
        if stopped or busy > MAX_PENDING_INBOXES:
            wanted = {key: place for key, place in wanted.items() if key.endswith(":seen")}
        if self.stopping or not wanted:
            await asyncio.sleep(0.05)
            return
        await self._promise()
        now = time.monotonic()
        # A letter that waited for the origin to come back is no sign of a storm.
        late = max([0.0, *(now - max(due, self._stopped_at) for due in due_times(self.outboxes.values()))])
        before = self._window.seconds
        set_windows(self.outboxes.values(), self._window.observe(late, now, self.storms.window))
        if self._window.seconds < before:
            self.letters_woken()
        self._look_out()
        found = await self._needs.valkey.read(wanted, count=500, block=BLOCK_MILLISECONDS)
        for key, entries in found.items():
            if key in self._positions:
                self._positions[key] = entries[-1][0]
                await self._take(key, entries)
        await asyncio.sleep(LINGER_SECONDS)

    def _look_out(self) -> None:
        """Whether a storm begins or ends; then leaves wait longer, or no longer."""
        now = self._needs.now()
        if abs(now - self._judged) < STORM_CHECK_MILLISECONDS:
            return
        self._judged = now
        online = {partition: len(debouncer.online) for partition, debouncer in self.debouncers.items()}
        away: Counter[int] = Counter()
        for debouncer in self.debouncers.values():
            away.update(debouncer.away)
        if turned := self.storms.judge(now, online, away):
            for partition, debouncer in self.debouncers.items():
                debouncer.extend(self.storms.patient(partition), self._needs.marks.hold)
            _tell(turned, self.storms)

    async def _take(self, key: str, entries: Sequence[Entry]) -> None:
        partition = keys.partition_of(key)
        if key == keys.inbox(partition):
            self.outboxes[partition].add(entries, time.monotonic(), self._window.seconds)
            self.letters_woken()
        else:
            await self._events(self.debouncers[partition], entries)

    async def _events(self, debouncer: Debouncer, entries: Sequence[Entry]) -> None:
        for entry, body in entries:
            noticed = debouncer.see(presence_log.decode(body), entry)
            self._arrived.update(dict.fromkeys(noticed.arrived))
            self._noticed(debouncer, noticed, entry)
        self._look_out()
        self.settle_woken()
        await self._promise()

    async def _promise(self) -> None:
        if self._arrived:
            await self._needs.inbox.request_sync(self._arrived, "join")
            self._arrived.clear()

    def _noticed(self, debouncer: Debouncer, noticed: DebounceResult, entry: str) -> None:
        self.storms.saw(noticed.moved)
        metrics.FLAPS.inc(noticed.flaps)
        self.flapped(noticed.flapped)
        metrics.REPEATS.inc(noticed.repeats)
        for doubt in noticed.doubtful:
            metrics.CONFLICTS.inc()
            task = asyncio.create_task(
                self._look_up(debouncer, doubt.user, entry), name=f"look up {doubt.user}"
            )
            self._doubts.add(task)
            task.add_done_callback(self._doubts.discard)

    async def _look_up(self, debouncer: Debouncer, user: str, entry: str) -> None:
        """Where Now decides; its answer is appended before the entry may go. A crash before repeats the doubt."""
        wait = 0.5
        while not await self._looked_up(user):
            await asyncio.sleep(wait)
            wait = min(30.0, wait * 2)
        debouncer.looked_up(entry)

    async def _looked_up(self, user: str) -> bool:
        try:
            await self._needs.log.append([await self._needs.lookups.look_up(user)])
        except FriendsError as error:
            _log.warning("a doubt stands", user=user, reason=str(error))
            return False
        return True

    def _follower_ended(self, task: asyncio.Task[None]) -> None:
        if not task.cancelled() and (error := task.exception()) and not self.died.done():
            self.died.set_exception(error)


def _tell(turned: StormChanges, storms: StormDetector) -> None:
    """Count and log what began and what is over."""
    for storm in turned.began:
        metrics.STORMS.labels(storm.where[1]).inc()
        _log.warning("a storm begins", reason=str(storm))
    for storm in turned.ended:
        _log.info("a storm is over", reason=str(storm))
    metrics.STORM.set(len(storms.on))
