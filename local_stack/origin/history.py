"""Message persistence: the stored messages of each channel, oldest first.

Knows time slices (`start` exclusive, `end` inclusive), page sizes, counting, deleting, the hours a message lives and
the bounds that keep a long-running origin small (per channel and over all). Time comes in as timetokens (100 ns).
Knows nothing of HTTP, nor of message actions.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import deque
from dataclasses import dataclass, field
from typing import Any

TIMETOKENS_PER_HOUR = 36_000_000_000
MAX_COUNT = 10_000
_NEVER = 10**18


@dataclass(slots=True, eq=False)
class Stored:
    """One stored message: `text` is its payload as JSON, `until` the timetoken after which it is gone.

    Text and not objects: it is shared with the queue, and a hundred thousand of them cost the garbage collector nothing.
    """

    channel: str
    timetoken: int
    text: str
    uuid: str | None = None
    meta: Any = None
    message_type: int | None = None
    custom_type: str | None = None
    until: int = _NEVER
    deleted: bool = False

    def drop(self) -> None:
        """Marks it deleted and lets its payload go: the order of arrival may hold the rest a while longer."""
        self.deleted = True
        self.text, self.meta = "", None


@dataclass(frozen=True, slots=True)
class Slice:
    """A stretch of a channel's time: without `start` from the newest on, without `end` to the oldest.

    With `start` later than `end` (the usual way) it is read from the newest; the other way round from the oldest.
    """

    start: int | None = None
    end: int | None = None

    @property
    def forward(self) -> bool:
        """Whether it is read from the oldest on."""
        return self.start is not None and self.end is not None and self.start < self.end


@dataclass(slots=True)
class History:
    """The stored messages of one keyset."""

    per_channel: int = 10_000
    in_all: int = 200_000
    _messages: dict[str, list[Stored]] = field(default_factory=dict)
    _order: deque[Stored] = field(default_factory=deque)

    def store(self, stored: Stored, ttl_hours: int | None = None) -> None:
        """Keeps a message for `ttl_hours` (None or 0: for ever); the oldest give way when the bounds are reached."""
        if ttl_hours:
            stored.until = stored.timetoken + ttl_hours * TIMETOKENS_PER_HOUR
        kept = self._messages.setdefault(stored.channel, [])
        at = bisect_right(kept, stored.timetoken, key=_timetoken)
        kept.insert(at, stored)
        self._order.append(stored)
        if len(kept) > self.per_channel:
            kept.pop(0).drop()
        self._make_room()

    def fetch(self, channel: str, part: Slice, most: int, now: int) -> list[Stored]:
        """At most `most` messages of the slice, oldest first."""
        found = [stored for stored in self._slice(channel, part) if stored.until > now]
        if most <= 0:
            return []
        return found[:most] if part.forward else found[-most:]

    def count(self, channel: str, since: int, now: int) -> int:
        """How many messages are later than timetoken `since`; at most 10,000."""
        kept = self._messages.get(channel, [])
        newer = kept[_after(kept, since) :]
        return min(MAX_COUNT, sum(stored.until > now for stored in newer))

    def delete(self, channel: str, part: Slice) -> list[int]:
        """Deletes the slice, whichever way round it is given, and returns the timetokens that are gone.

        A slice with only a `start` reaches to the newest message here, one with only an `end` to the oldest.
        """
        kept = self._messages.get(channel, [])
        low, high = _deleted_bounds(kept, part)
        gone = kept[low:high]
        for stored in gone:
            stored.drop()
        del kept[low:high]
        if not kept:
            self._messages.pop(channel, None)
        return [stored.timetoken for stored in gone]

    def __len__(self) -> int:
        return sum(map(len, self._messages.values()))

    def _slice(self, channel: str, part: Slice) -> list[Stored]:
        kept = self._messages.get(channel, [])
        if part.forward and part.start is not None and part.end is not None:
            return kept[_after(kept, part.start) : _after(kept, part.end)]
        low = 0 if part.end is None else _from(kept, part.end)
        high = len(kept) if part.start is None else _from(kept, part.start)
        return kept[low:high]

    def _make_room(self) -> None:
        """Lets the oldest go; entries that were deleted otherwise are only skipped."""
        while len(self._order) > self.in_all:
            oldest = self._order.popleft()
            if oldest.deleted:
                continue
            kept = self._messages[oldest.channel]
            kept.remove(oldest)
            if not kept:
                del self._messages[oldest.channel]


def _timetoken(stored: Stored) -> int:
    return stored.timetoken


def _from(kept: list[Stored], timetoken: int) -> int:
    return bisect_left(kept, timetoken, key=_timetoken)


def _after(kept: list[Stored], timetoken: int) -> int:
    return bisect_right(kept, timetoken, key=_timetoken)


def _deleted_bounds(kept: list[Stored], part: Slice) -> tuple[int, int]:
    """From the earlier to the later end of the slice; the `start` itself stays, the `end` itself goes."""
    start, end = part.start, part.end
    if start is None:
        return 0, len(kept) if end is None else _after(kept, end)
    if end is None:
        return _after(kept, start), len(kept)
    if start <= end:
        return _after(kept, start), _after(kept, end)
    return _from(kept, end), _from(kept, start)
