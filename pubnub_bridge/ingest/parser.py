"""Parses presence bodies into `PresenceEvent`. Pure. No input raises: what is not understood is in `unknown`.

Field shapes are those of recorded announce and interval events (PubNub docs: Presence Events); `precise_timestamp`
is optional since older responses lack it, and arrays next to ``here_now_refresh`` are incomplete.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from pubnub_bridge.model.presence_event import PresenceEvent

MAX_AHEAD_MILLISECONDS = 60_000
"""An event further ahead of PubNub's time gets its publish time, or PubNub's time."""

MIN_COMPARE_INTERVAL_MILLISECONDS = 30_000
"""Between two comparisons of one shard whose occupancy seems wrong: a second device may be one more join."""

_STATES = {"join": True, "leave": False, "timeout": False}


@dataclass(frozen=True, slots=True, kw_only=True)
class Tally:
    """The occupancy that one body reports, and by how much the users it names change it."""

    shard: int
    change: int
    occupancy: int | None
    deltas: bool | None = None
    """Of an interval: whether it names any user. It does not where nothing changed, nor where Deltas are off."""


@dataclass(slots=True)
class ParsedPresence:
    """Everything in one subscribe response or webhook call."""

    events: list[PresenceEvent] = field(default_factory=list)
    refresh: set[int] = field(default_factory=set)
    """Shards whose interval reports that its arrays are incomplete."""
    occupancy: dict[int, int] = field(default_factory=dict)
    """The last occupancy reported for each shard."""
    tallies: list[Tally] = field(default_factory=list)
    """One for each join, leave, timeout and interval, in order."""
    unknown: list[str] = field(default_factory=list)
    """Why a body was not understood, one text for each."""

    def add(self, shard: int, body: Any, published: int, now: int) -> None:
        """Add one presence body of a shard; `published` is its publish time, `now` PubNub's time, in milliseconds."""
        if not isinstance(body, Mapping):
            self.unknown.append(f"a presence body of type {type(body).__name__}")
            return
        occupancy = _number(body.get("occupancy"))
        if occupancy is not None:
            self.occupancy[shard] = occupancy
        action = body.get("action")
        if not isinstance(action, str):
            self.unknown.append(f"a presence action of type {type(action).__name__}")
        elif action == "interval":
            self._interval(shard, body, published, now)
        elif action in _STATES and isinstance(body.get("uuid"), str) and body["uuid"]:
            at = _at(body, published, now)
            self.events.append(PresenceEvent(body["uuid"], _STATES[action], at, shard, action))
            change = 1 if _STATES[action] else -1
            self.tallies.append(Tally(shard=shard, change=change, occupancy=occupancy))
        elif action != "state-change":
            self.unknown.append(f"presence action {action!r}")

    def _interval(self, shard: int, body: Mapping[str, Any], published: int, now: int) -> None:
        if body.get("here_now_refresh"):
            self.refresh.add(shard)
        # The timestamp of an interval has whole seconds only and may lie before an announced event that it follows.
        at = max(_at(body, published, now), min(published, now + MAX_AHEAD_MILLISECONDS))
        # A user of two arrays gets two events at one time: a conflict, which the debouncer has looked up.
        events = [PresenceEvent(user, _STATES[action], at, shard, action) for action, user in _deltas(body)]
        self.events += events
        change = sum(1 if one.online else -1 for one in events)
        occupancy = _number(body.get("occupancy"))
        self.tallies.append(Tally(shard=shard, change=change, occupancy=occupancy, deltas=bool(events)))


class OccupancyTracker:
    """Follows the occupancy of each shard by its events, to detect lost ones. One object for each subscribe loop."""

    def __init__(self) -> None:
        self._expected: dict[int, int] = {}
        self._compared_at: dict[int, int] = {}
        self._wrong: set[int] = set()
        self._deltas = False

    def shards_to_compare(self, parsed: ParsedPresence, now: int) -> set[int]:
        """Shards to be compared with Here Now; `now` in milliseconds.

        Those whose occupancy does not follow from the events, each at most once in
        `MIN_COMPARE_INTERVAL_MILLISECONDS`. Where no interval has ever named a user, Deltas are off, and then every
        interval may hide changes.
        """
        found = set()
        for tally in parsed.tallies:
            self._deltas |= tally.deltas is True
            if tally.deltas is False and not self._deltas:
                found.add(tally.shard)
            if tally.occupancy is not None:
                # The first occupancy of a shard has nothing to be compared with, so it is believed.
                expected = self._expected.get(tally.shard, tally.occupancy - tally.change) + tally.change
                if expected != tally.occupancy:
                    self._wrong.add(tally.shard)
                self._expected[tally.shard] = tally.occupancy
        due = {
            shard
            for shard in self._wrong
            if now - self._compared_at.get(shard, -MIN_COMPARE_INTERVAL_MILLISECONDS)
            >= MIN_COMPARE_INTERVAL_MILLISECONDS
        }
        self._wrong -= due
        self._compared_at.update(dict.fromkeys(due, now))
        return found | due


def _deltas(body: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """The (action, user) pairs of an interval, joins first."""
    for action in _STATES:
        users = body.get(action)
        if isinstance(users, list):
            yield from ((action, user) for user in users if isinstance(user, str) and user)


def _at(body: Mapping[str, Any], published: int, now: int) -> int:
    """When it happened, in milliseconds: the precise timestamp, else whole seconds refined by the publish time."""
    precise = _number(body.get("precise_timestamp"))
    seconds = _number(body.get("timestamp"))
    if precise is None and seconds is not None:
        precise = published if 0 <= published - seconds * 1000 < 1000 else seconds * 1000
    at = published if precise is None else precise
    # An event from the future would win against every later one until that time comes.
    if at <= now + MAX_AHEAD_MILLISECONDS:
        return at
    return published if published <= now + MAX_AHEAD_MILLISECONDS else now


def _number(value: Any) -> int | None:
    """Numbers as PubNub writes them: int or digits in a string (Events & Actions)."""
    if isinstance(value, bool):
        return None
    if isinstance(value, int):
        return value
    return int(value) if isinstance(value, str) and value.isascii() and value.isdigit() else None
