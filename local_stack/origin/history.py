"""Message persistence: the stored messages of each channel, oldest first.

Pure: time slices (`start` exclusive, `end` inclusive), page sizes, counts, deletion, expiry, and the limits that bound
the memory of a long-running origin (by channel and in all). Times are arguments, as timetokens (100 ns).
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
    """One stored message: `text` is its payload as JSON, `until` the timetoken of its expiry.

    Text instead of objects: it is shared with the queue, and the garbage collector need not traverse it.
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
        """Mark it deleted and free its payload; the order of arrival may refer to the rest for longer."""
        self.deleted = True
        self.text, self.meta = "", None


@dataclass(frozen=True, slots=True)
class Slice:
    """An interval of a channel's time: without `start` from the newest, without `end` to the oldest.

    With `start` later than `end` (the usual way) it is read from the newest, otherwise from the oldest.
    """

    start: int | None = None
    end: int | None = None

    @property
    def forward(self) -> bool:
        """Whether it is read from the oldest."""
        return self.start is not None and self.end is not None and self.start < self.end


@dataclass(slots=True)
class History:
    """The stored messages of one keyset."""

    per_channel: int = 10_000
    in_all: int = 200_000
    _messages: dict[str, list[Stored]] = field(default_factory=dict)
    _order: deque[Stored] = field(default_factory=deque)

    def store(self, stored: Stored, ttl_hours: int | None = None) -> None:
        """Store a message for `ttl_hours` (None or 0: without expiry); at the limits the oldest ones are dropped."""
        if ttl_hours:
            stored.until = stored.timetoken + ttl_hours * TIMETOKENS_PER_HOUR
        messages = self._messages.setdefault(stored.channel, [])
        at = bisect_right(messages, stored.timetoken, key=_timetoken)
        messages.insert(at, stored)
        self._order.append(stored)
        if len(messages) > self.per_channel:
            messages.pop(0).drop()
        self._make_room()

    def fetch(self, channel: str, part: Slice, most: int, now: int) -> list[Stored]:
        """At most `most` messages of the slice, oldest first."""
        found = [stored for stored in self._slice(channel, part) if stored.until > now]
        if most <= 0:
            return []
        return found[:most] if part.forward else found[-most:]

    def count(self, channel: str, since: int, now: int) -> int:
        """The number of messages later than timetoken `since`; at most 10,000."""
        messages = self._messages.get(channel, [])
        newer = messages[_after(messages, since) :]
        return min(MAX_COUNT, sum(stored.until > now for stored in newer))

    def delete(self, channel: str, part: Slice) -> list[int]:
        """Delete the slice, in either direction, and return the deleted timetokens.

        Here a slice with only a `start` extends to the newest message, one with only an `end` to the oldest.
        """
        messages = self._messages.get(channel, [])
        low, high = _deleted_bounds(messages, part)
        deleted = messages[low:high]
        for stored in deleted:
            stored.drop()
        del messages[low:high]
        if not messages:
            self._messages.pop(channel, None)
        return [stored.timetoken for stored in deleted]

    def __len__(self) -> int:
        return sum(map(len, self._messages.values()))

    def _slice(self, channel: str, part: Slice) -> list[Stored]:
        messages = self._messages.get(channel, [])
        if part.forward and part.start is not None and part.end is not None:
            return messages[_after(messages, part.start) : _after(messages, part.end)]
        low = 0 if part.end is None else _from(messages, part.end)
        high = len(messages) if part.start is None else _from(messages, part.start)
        return messages[low:high]

    def _make_room(self) -> None:
        """Drop the oldest messages; entries that are deleted already are skipped."""
        while len(self._order) > self.in_all:
            oldest = self._order.popleft()
            if oldest.deleted:
                continue
            messages = self._messages[oldest.channel]
            messages.remove(oldest)
            if not messages:
                del self._messages[oldest.channel]


def _timetoken(stored: Stored) -> int:
    return stored.timetoken


def _from(messages: list[Stored], timetoken: int) -> int:
    return bisect_left(messages, timetoken, key=_timetoken)


def _after(messages: list[Stored], timetoken: int) -> int:
    return bisect_right(messages, timetoken, key=_timetoken)


def _deleted_bounds(messages: list[Stored], part: Slice) -> tuple[int, int]:
    """From the earlier to the later end of the slice; `start` is exclusive, `end` inclusive."""
    start, end = part.start, part.end
    if start is None:
        return 0, len(messages) if end is None else _after(messages, end)
    if end is None:
        return _after(messages, start), len(messages)
    if start <= end:
        return _after(messages, start), _after(messages, end)
    return _from(messages, end), _from(messages, start)
