"""The queue of one keyset: recent events by channel, and the subscribers that wait for the next one.

Pure: cursors, the 100 messages stored for a subscriber, wildcards and presence names. The caller resolves groups to
channels. Times are arguments, as timetokens and seconds; a waiter is a callable.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Callable, Iterable
from functools import lru_cache
from typing import Literal

from local_stack.origin.clock import TICKS_PER_SECOND
from local_stack.origin.envelope import Event

PRESENCE = "-pnpres"
LEVELS = 3
"""Levels of a channel name that a wildcard may span: `a.*` and `a.b.*`."""

Source = tuple[str, str]
"""A log to read and the subscription by which its events are delivered: (`ch`, `group`)."""
Found = list[tuple[str, Event]]


class Waiter:
    """A subscriber waiting on `logs`; `wake(True)` on an event, `wake(False)` when `until` (seconds) has passed."""

    __slots__ = ("logs", "until", "wake")

    def __init__(self, logs: tuple[str, ...], until: float, wake: Callable[[bool], None]) -> None:
        self.logs = logs
        self.until = until
        self.wake = wake


class Channels:
    """The recent events of a keyset.

    `max_per_channel` bounds the events of one channel, `max_age_seconds` their age in seconds, `max_in_all` their number over all channels
    (so that a day of load does not fill the memory).
    """

    def __init__(
        self,
        *,
        max_per_channel: int = 100,
        max_age_seconds: float = 1200.0,
        max_in_all: int = 200_000,
        wildcard_presence: Literal["none", "literal", "all"] = "literal",
    ) -> None:
        self.max_per_channel = max_per_channel
        self.max_age_seconds = max_age_seconds
        self.max_in_all = max_in_all
        self.wildcard_presence = wildcard_presence
        self._logs: dict[str, list[Event]] = {}
        self._order: deque[Event] = deque()
        self._waiting: dict[str, dict[Waiter, None]] = {}
        self._waiters: OrderedDict[Waiter, None] = OrderedDict()

    def append(self, event: Event) -> None:
        """Queue `event` and wake its waiters. Events arrive in the order of their timetokens."""
        self._order.append(event)
        for log in self.logs_of(event.channel):
            logged = self._logs.setdefault(log, [])
            logged.append(event)
            if len(logged) > self.max_per_channel:
                del logged[0]
            self.wake(log)
        self._forget(event.timetoken)

    def read(self, sources: Iterable[Source], after: int) -> Found:
        """Events later than timetoken `after` on the sources, oldest first; once for each source that has it."""
        found: Found = []
        for log, match in sources:
            logged = self._logs.get(log)
            if logged is not None and logged[-1].timetoken > after:
                found += [(match, event) for event in logged if event.timetoken > after]
        if len(found) > 1:
            found.sort(key=_timetoken)
        return found

    def wait(self, waiter: Waiter) -> None:
        self._waiters[waiter] = None
        for log in waiter.logs:
            self._waiting.setdefault(log, {})[waiter] = None

    def leave(self, waiter: Waiter) -> None:
        self._waiters.pop(waiter, None)
        for log in waiter.logs:
            waiting = self._waiting.get(log)
            if waiting is not None:
                waiting.pop(waiter, None)
                if not waiting:
                    del self._waiting[log]

    def wake(self, log: str) -> None:
        """Wake all waiters on `log`, for a message or because a group has changed."""
        for waiter in list(self._waiting.get(log, ())):
            waiter.wake(True)

    def expire(self, now: float) -> None:
        """End the polls whose time is over. All last equally long, so the oldest are the first."""
        while self._waiters:
            waiter = next(iter(self._waiters))
            if waiter.until > now:
                return
            self.leave(waiter)
            waiter.wake(False)

    def due(self) -> float | None:
        """The end of the next poll, in seconds."""
        return next(iter(self._waiters)).until if self._waiters else None

    @property
    def waiters(self) -> int:
        """The number of open polls."""
        return len(self._waiters)

    def events(self) -> list[Event]:
        """All stored events, oldest first."""
        return list(self._order)

    def clear(self) -> None:
        """Drop all events; waiters stay."""
        self._logs.clear()
        self._order.clear()

    def logs_of(self, channel: str) -> tuple[str, ...]:
        """The logs that store an event of `channel`: the channel's and those of the wildcards that match it."""
        return _logs_of(channel, self.wildcard_presence)

    def _forget(self, timetoken: int) -> None:
        oldest = timetoken - int(self.max_age_seconds * TICKS_PER_SECOND)
        order = self._order
        while order and (len(order) > self.max_in_all or order[0].timetoken < oldest):
            event = order.popleft()
            for log in self.logs_of(event.channel):
                logged = self._logs.get(log)
                if logged and logged[0] is event:
                    del logged[0]
                    if not logged:
                        del self._logs[log]


def _timetoken(found: tuple[str, Event]) -> int:
    return found[1].timetoken


@lru_cache(maxsize=32_768)
def _logs_of(channel: str, wildcard_presence: str) -> tuple[str, ...]:
    """Cached: it is needed when an event arrives and when it is dropped, for the same channels again and again."""
    if "." not in channel:
        return (channel,)
    base, suffix = (channel[: -len(PRESENCE)], PRESENCE) if channel.endswith(PRESENCE) else (channel, "")
    wildcards = _wildcards(base)
    logs = [channel, *(name for name in (wildcard + suffix for wildcard in wildcards) if name != channel)]
    if suffix and wildcard_presence == "all":
        logs += wildcards
    elif suffix and wildcard_presence == "literal" and base.endswith(".*"):
        logs.append(base)
    return tuple(logs)


def _wildcards(channel: str) -> list[str]:
    """`a.b.c` is matched by `a.*` and `a.b.*`; a literal `a.*` only matches itself."""
    parts = channel.split(".")
    depth = min(len(parts) - 1, LEVELS - 1)
    return [".".join(parts[: level + 1]) + ".*" for level in range(depth)]
