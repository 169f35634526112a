"""PubNub in memory: who is present, the events that say so, and what is published.

Its long poll returns at most 100 messages and stores no more; Here Now may be some seconds old and skip users; Where Now
is right. Events can be lost, repeated, swapped and stamped in the future.
"""

from __future__ import annotations

import asyncio
import json
from collections import deque
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import parse_qs, urlsplit

import aiohttp

from graph_service.model.sharding import ShardMap
from pubnub_bridge.errors import PubNubUnavailable
from pubnub_bridge.pubnub_api.publish_client import Outcome, PublishResult, classify
from tests.simulation.gates import Gates
from tests.simulation.loop import Life

QUEUE = 100
"""Messages that PubNub stores for a poll."""
CACHE = 3000
"""Milliseconds that Here Now may be old."""
IDLE_POLL = 60.0
"""Seconds after which a poll returns nothing."""


@dataclass(frozen=True)
class Event:
    """One presence event of one shard, as it is delivered."""

    timetoken: int
    channel: str
    body: Mapping[str, Any]
    user: str = ""
    online: bool = False


@dataclass(frozen=True)
class Occupants:
    """One response of Here Now."""

    occupancy: int
    users: Sequence[str]


@dataclass
class PubNub:
    """Who is present in truth, and the events that report it."""

    shards: ShardMap
    now: Callable[[], int]
    present: dict[str, bool]
    events: list[Event] = field(default_factory=list)
    polled: dict[int, int] = field(default_factory=dict)
    """The cursor up to which events are accepted, by partition."""
    ahead_until: int = 0
    """The latest stamp that any event had, in milliseconds."""
    lost: bool = False
    """Whether something was lost that no later event shows."""
    counts: bool = True
    """Whether events carry the number of occupants."""
    cache_age: int = 0
    """How old Here Now is."""
    skipped: frozenset[str] = frozenset()
    """Whom the pages of Here Now skip."""
    outcomes: deque[str] = field(default_factory=deque)
    """What becomes of the next publishes: "unheard", "silence", or a status with its body."""
    published: Callable[[str, bytes], None] = lambda _inbox, _body: None
    refused: list[tuple[str, bytes]] = field(default_factory=list)
    """Messages that were rejected with 400, by inbox."""
    replies: dict[int, list[Event]] = field(default_factory=dict)
    """What polls returned, by the cursor they continue from."""
    _history: list[tuple[int, dict[str, bool]]] = field(default_factory=list)
    _waiting: list[asyncio.Future[None]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._last = self.now() * 10_000
        self._history.append((0, dict(self.present)))

    # Presence

    def change(self, user: str, online: bool, reason: str = "") -> None:
        """A join or leave, reported at once."""
        self.present[user] = online
        self._history.append((self.now(), dict(self.present)))
        self.say(user, online, reason)

    def say(self, user: str, online: bool, reason: str = "") -> None:
        """An event, whatever the truth is."""
        body = {
            "action": reason or ("join" if online else "leave"),
            "uuid": user,
            "timestamp": self.now() // 1000,
            "precise_timestamp": self.now(),
        }
        if self.counts:
            body["occupancy"] = sum(self.present.values())
        self.send(Event(0, self.shards.channel(self.shards.shard(user)), body, user, online))

    def send(self, event: Event) -> None:
        """Deliver an event with a new timetoken."""
        self._last = max(self._last + 1, self.now() * 10_000)
        self.events.append(replace(event, timetoken=self._last))
        waiting, self._waiting = self._waiting, []
        for future in waiting:
            if not future.done():
                future.set_result(None)

    def unread(self) -> list[Event]:
        """What no poll has had yet."""
        return [event for event in self.events if self._is_unread(event)]

    def lose(self) -> None:
        """The newest unread event is lost."""
        if unread := self.unread():
            self.events.remove(unread[-1])
            self.lost = True

    def forget(self) -> None:
        """Everything unread is too old to be stored."""
        self.events = [event for event in self.events if not self._is_unread(event)]

    def accept(self, partition: int, cursor: int) -> None:
        """A process has stored this cursor."""
        self.polled[partition] = max(self.polled.get(partition, 0), cursor)

    def _is_unread(self, event: Event) -> bool:
        partition = (self.shards.parse(event.channel) or 0) % self.shards.partitions
        return event.timetoken > self.polled.get(partition, 0)

    def repeat(self, which: int) -> None:
        """An old event comes again, and late."""
        if self.events:
            self.send(self.events[which % len(self.events)])

    def swap(self) -> None:
        """Two unread events come in the other order."""
        if len(self.unread()) >= 2:
            a, b = self.events[-2:]
            self.events[-2:] = [replace(b, timetoken=a.timetoken), replace(a, timetoken=b.timetoken)]

    def stamp_ahead(self, milliseconds: int) -> None:
        """The newest unread event has the stamp of a wrong clock."""
        if self.unread():
            last = self.events[-1]
            stamp = last.body["precise_timestamp"] + milliseconds
            self.ahead_until = max(self.ahead_until, stamp if milliseconds < 60_000 else 0)
            self.events[-1] = replace(last, body={**last.body, "precise_timestamp": stamp})
            self.lost = True

    def flood(self, channel: str) -> None:
        """So many events that the queue of a poll overflows."""
        for number in range(QUEUE):
            stranger = f"stranger{number % 3}"
            body = {
                "action": "join" if number % 2 else "leave",
                "uuid": stranger,
                "precise_timestamp": self.now(),
            }
            self.send(Event(0, channel, body))

    def here(self) -> dict[str, bool]:
        """Who is present, by the cache."""
        moment = self.now() - self.cache_age
        found = next(state for at, state in reversed(self._history) if at <= moment)
        return {user: there and user not in self.skipped for user, there in found.items()}

    # Calls

    def reply(self, channels: Sequence[str], cursor: int) -> dict[str, Any] | None:
        """What a poll returns; None where it waits."""
        found = [e for e in self.events if e.channel in channels and e.timetoken > cursor]
        if not found and cursor:
            return None
        some = found[-QUEUE:] if cursor else []
        place = max([self._last, *(e.timetoken for e in some)]) if not cursor else some[-1].timetoken
        self.replies[place] = some
        return {"t": {"t": str(place), "r": 1}, "m": [_envelope(event) for event in some]}

    def wait(self) -> asyncio.Future[None]:
        """Done at the next event."""
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append(future)
        return future

    def publish(self, channel: str, body: bytes) -> PublishResult:
        """One message, as scripted."""
        outcome = self.outcomes.popleft() if self.outcomes else "sent"
        inbox = channel.removeprefix("inbox.")
        if outcome in {"sent", "unheard"}:
            self.published(inbox, body)
        if outcome == "sent":
            return classify(200, '[1,"Sent"]', None)
        if outcome in {"unheard", "silence"}:
            return PublishResult(outcome=Outcome.LATER, reason="no response")
        if outcome.startswith("400"):
            self.refused.append((inbox, body))
        return classify(int(outcome[:3]), outcome[3:], None)


def _envelope(event: Event) -> dict[str, Any]:
    place = {"t": str(event.timetoken), "r": 1}
    return {"c": f"{event.channel}-pnpres", "d": event.body, "p": place}


@dataclass
class Reply:
    """The part of an HTTP response that the product reads."""

    status: int
    body: str

    async def text(self) -> str:
        """All of it."""
        return self.body

    async def json(self, content_type: str | None = None) -> Any:
        """All of it, understood."""
        return json.loads(self.body)

    def raise_for_status(self) -> None:
        """Raise what aiohttp raises."""
        if self.status >= 400:
            raise aiohttp.ClientError(f"status {self.status}")


class PubNubPort:
    """One process's calls to PubNub, and to the product's own back end."""

    def __init__(self, pubnub: PubNub, gates: Gates, life: Life) -> None:
        self._pubnub, self._gates, self._life = pubnub, gates, life
        self.receive: Callable[[str], int] = lambda _body: 200
        """The back end: a body, and the status it responds with."""

    async def _call(self, kind: str, perform: Callable[[], Any], failure: Callable[[], Exception]) -> Any:
        return await self._gates.call(self._life, kind, perform, failure)

    @asynccontextmanager
    async def get(
        self, url: str, params: Mapping[str, str] | None = None, **_how: Any
    ) -> AsyncIterator[Reply]:
        """Polls, and PubNub's time."""
        parts = urlsplit(str(url))
        if parts.path == "/time/0":
            yield Reply(200, f"[{self._pubnub.now() * 10_000}]")
            return
        channels = [name.removesuffix("-pnpres") for name in parts.path.split("/")[4].split(",")]
        query = dict(params or {}) or {key: some[0] for key, some in parse_qs(parts.query).items()}
        yield await self._poll(channels, int(query["tt"]))

    async def _poll(self, channels: list[str], cursor: int) -> Reply:
        for _ in range(2):
            found = await self._call(
                "poll", lambda: self._pubnub.reply(channels, cursor), lambda: aiohttp.ClientError("scripted")
            )
            if found is not None:
                return Reply(200, json.dumps(found))
            if self._pubnub.reply(channels, cursor) is not None:
                continue
            try:
                async with asyncio.timeout(IDLE_POLL):
                    await self._pubnub.wait()
            except TimeoutError:
                break
        return Reply(200, json.dumps({"t": {"t": str(cursor), "r": 1}, "m": []}))

    @asynccontextmanager
    async def post_events(self, url: str, data: bytes = b"", **_how: Any) -> AsyncIterator[Reply]:
        """A post to the back end."""
        status = await self._call(
            "post", lambda: self.receive(data.decode()), lambda: aiohttp.ClientError("scripted")
        )
        yield Reply(status, "")

    async def where_now(self, user: str) -> frozenset[str]:
        """The channels a user is on."""
        pubnub = self._pubnub

        def perform() -> frozenset[str]:
            there = pubnub.present.get(user, False)
            return frozenset({pubnub.shards.channel(pubnub.shards.shard(user))} if there else ())

        found: frozenset[str] = await self._call("where now", perform, _away)
        return found

    async def here_now(self, channel: str) -> Occupants:
        """Who is on a channel."""

        def perform() -> Occupants:
            shards = self._pubnub.shards
            users = [
                user
                for user, there in self._pubnub.here().items()
                if there and shards.channel(shards.shard(user)) == channel
            ]
            return Occupants(len(users), users)

        found: Occupants = await self._call("here now", perform, _away)
        return found

    async def occupancy(self, channels: list[str]) -> dict[str, int]:
        """How many are on each channel."""
        return {channel: (await self.here_now(channel)).occupancy for channel in channels}

    async def publish(self, channel: str, body: bytes) -> PublishResult:
        """One message; no response where it fails."""
        try:
            found: PublishResult = await self._call(
                "publish", lambda: self._pubnub.publish(channel, body), TimeoutError
            )
        except TimeoutError:
            return PublishResult(outcome=Outcome.LATER, reason="no response")
        return found


def _away() -> Exception:
    return PubNubUnavailable(reason="scripted")
