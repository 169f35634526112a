"""PubNub's presence as a state machine: who is present where, and which events announce it.

Pure: joins, leaves, timeouts, state, announce and interval mode, debounce (PubNub docs and recorded replies). Time is
an argument, in Unix seconds; the result is a list of events.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from heapq import heappop, heappush
from typing import Any

from local_stack.origin.presence_events import (
    ACTIVE,
    DELTAS,
    INACTIVE,
    INTERVAL,
    JOIN,
    LEAVE,
    STATE,
    TIMEOUT,
    PresenceEvent,
)
from local_stack.origin.settings import PresenceSettings

State = dict[str, Any]
Events = list[PresenceEvent]


@dataclass(frozen=True, slots=True)
class Visit:
    """A sign of life of `uuid` on `channels`: a subscribe request, or a heartbeat (`explicit`).

    `timeout_s` is the `heartbeat` parameter, None where the client sent none. `states` maps channels to the state in
    the request. `first` marks a handshake.
    """

    uuid: str
    channels: tuple[str, ...]
    explicit: bool = False
    first: bool = False
    timeout_s: float | None = None
    states: Mapping[str, State] = field(default_factory=dict)


class _Occupant:
    __slots__ = ("deadline", "echo_at", "leaves_at", "queued", "state")

    def __init__(self, state: State | None) -> None:
        self.state = state
        self.deadline = 0.0
        self.queued = 0.0
        self.leaves_at: float | None = None
        self.echo_at: float | None = None


class _ChannelEntry:
    """One channel with occupants, or with an interval that is not announced yet."""

    __slots__ = ("deltas", "interval_at", "occupants")

    def __init__(self) -> None:
        self.occupants: dict[str, _Occupant] = {}
        self.interval_at: float | None = None
        self.deltas: dict[str, dict[str, None]] = {}


class Presence:
    """The presence of one keyset. Every method that takes `now` returns the events that it caused, in order."""

    def __init__(self, settings: PresenceSettings) -> None:
        self.settings = settings
        self._entries: dict[str, _ChannelEntry] = {}
        self._where: dict[str, dict[str, None]] = {}
        self._absent_states: dict[tuple[str, str], State] = {}
        self._agenda: list[tuple[float, int, str, str | None]] = []
        self._turn = 0

    # -- requests of clients

    def visit(self, visit: Visit, now: float) -> Events:
        """Make the user present where they are not yet, and postpone their timeout where that applies."""
        events: Events = []
        for channel in visit.channels:
            if not self.tracks(channel):
                continue
            entry = self._entries.get(channel)
            occupant = entry.occupants.get(visit.uuid) if entry else None
            if occupant is None:
                self._join(channel, visit, now, events)
            else:
                self._revisit(channel, occupant, visit, now, events)
        return events

    def leave(self, uuid: str, channels: Iterable[str], now: float) -> Events:
        """Remove `uuid` from `channels`, after the debounce if there is one."""
        events: Events = []
        wait = self.settings.debounce_s
        for channel in channels:
            self._absent_states.pop((channel, uuid), None)
            occupant = self._occupant(channel, uuid)
            if occupant is None:
                continue
            if wait > 0:
                occupant.leaves_at = now + wait if occupant.leaves_at is None else occupant.leaves_at
                self._plan(occupant.leaves_at, channel, uuid)
            else:
                self._remove(LEAVE, channel, uuid, now, events)
        return events

    def set_state(self, uuid: str, states: Mapping[str, State], now: float) -> Events:
        """Set the state of `uuid` on each channel; announced where they are present, else stored for their join."""
        events: Events = []
        for channel, state in states.items():
            occupant = self._occupant(channel, uuid)
            if occupant is None:
                self._absent_states[channel, uuid] = state
            else:
                self._change(channel, uuid, state, now, events)
        return events

    # -- queries

    def would_join(self, visit: Visit) -> bool:
        """Whether this visit would cause a join."""
        there = self._where.get(visit.uuid, ())
        return any(channel not in there and self.tracks(channel) for channel in visit.channels)

    def tracks(self, channel: str) -> bool:
        """Whether presence is tracked for `channel`."""
        return "*" in self.settings.tracked or any(
            channel.startswith(rule[:-1]) if rule.endswith("*") else channel == rule
            for rule in self.settings.tracked
        )

    def here(self, channel: str) -> dict[str, State | None]:
        """The occupants of `channel` with their states, in order of arrival."""
        entry = self._entries.get(channel)
        return {uuid: occupant.state for uuid, occupant in entry.occupants.items()} if entry else {}

    def occupancy(self, channel: str) -> int:
        """The number of occupants of `channel`."""
        entry = self._entries.get(channel)
        return len(entry.occupants) if entry else 0

    def where(self, uuid: str) -> list[str]:
        """The channels on which `uuid` is present."""
        return list(self._where.get(uuid, ()))

    def state(self, uuid: str, channel: str) -> State:
        """The state of `uuid` on `channel`; empty when there is none."""
        occupant = self._occupant(channel, uuid)
        return (occupant.state if occupant else self._absent_states.get((channel, uuid))) or {}

    def channels(self) -> list[str]:
        """All channels with occupants."""
        return [channel for channel, entry in self._entries.items() if entry.occupants]

    # -- time

    def due(self) -> float | None:
        """The next time at which `run` has something to process, in Unix seconds."""
        return self._agenda[0][0] if self._agenda else None

    def run(self, now: float) -> Events:
        """Process everything due by `now`; each event has the time at which it was due."""
        events: Events = []
        while self._agenda and self._agenda[0][0] <= now:
            at, _, channel, uuid = heappop(self._agenda)
            if uuid is None:
                self._interval(channel, at, events)
            else:
                self._process_deadline(channel, uuid, at, events)
        return events

    def drop(self, channel: str) -> None:
        """Drop the presence of `channel` without an event (a fault)."""
        entry = self._entries.pop(channel, None)
        for uuid in entry.occupants if entry else ():
            self._absent(uuid, channel)

    # -- internals

    def _occupant(self, channel: str, uuid: str) -> _Occupant | None:
        entry = self._entries.get(channel)
        return entry.occupants.get(uuid) if entry else None

    def _join(self, channel: str, visit: Visit, now: float, events: Events) -> None:
        came = visit.states.get(channel)
        stored = self._absent_states.pop((channel, visit.uuid), None)
        occupant = _Occupant(stored if came is None else came)
        entry = self._entries.setdefault(channel, _ChannelEntry())
        entry.occupants[visit.uuid] = occupant
        self._where.setdefault(visit.uuid, {})[channel] = None
        self._prolong(channel, occupant, visit, now)
        if len(entry.occupants) == 1:
            events.append(PresenceEvent(ACTIVE, channel, None, now, 1))
        self._announce(JOIN, channel, visit.uuid, now, events)

    def _revisit(self, channel: str, occupant: _Occupant, visit: Visit, now: float, events: Events) -> None:
        if occupant.leaves_at is not None and self.settings.late_leaves:
            occupant.echo_at = occupant.leaves_at
            self._announce(JOIN, channel, visit.uuid, now, events)
        occupant.leaves_at = None
        if visit.explicit or self.settings.implicit_heartbeat:
            self._prolong(channel, occupant, visit, now)
        if visit.first and self.settings.repeat_join:
            self._announce(JOIN, channel, visit.uuid, now, events)
        came = visit.states.get(channel)
        if came is not None and came != occupant.state:
            self._change(channel, visit.uuid, came, now, events)

    def _prolong(self, channel: str, occupant: _Occupant, visit: Visit, now: float) -> None:
        occupant.deadline = now + (self.settings.timeout_s if visit.timeout_s is None else visit.timeout_s)
        if not occupant.queued or occupant.deadline < occupant.queued:
            occupant.queued = occupant.deadline
            self._plan(occupant.deadline, channel, visit.uuid)

    def _process_deadline(self, channel: str, uuid: str, at: float, events: Events) -> None:
        """Process an occupant's agenda entry: a timeout, a leave after its debounce, or nothing if it is outdated."""
        occupant = self._occupant(channel, uuid)
        if occupant is None:
            return
        if occupant.echo_at is not None and occupant.echo_at <= at:
            occupant.echo_at = None
            self._announce(LEAVE, channel, uuid, at, events)
        if occupant.leaves_at is not None and occupant.leaves_at <= at:
            self._remove(LEAVE, channel, uuid, at, events)
        elif occupant.deadline <= at:
            self._remove(TIMEOUT, channel, uuid, at, events)
        elif occupant.queued <= at:
            occupant.queued = occupant.deadline
            self._plan(occupant.deadline, channel, uuid)

    def _remove(self, action: str, channel: str, uuid: str, now: float, events: Events) -> None:
        entry = self._entries[channel]
        del entry.occupants[uuid]
        self._absent(uuid, channel)
        self._announce(action, channel, uuid, now, events)
        if not entry.occupants:
            events.append(PresenceEvent(INACTIVE, channel, None, now, 0))
            if entry.interval_at is None:
                del self._entries[channel]

    def _absent(self, uuid: str, channel: str) -> None:
        places = self._where.get(uuid)
        if places is not None:
            places.pop(channel, None)
            if not places:
                del self._where[uuid]

    def _change(self, channel: str, uuid: str, state: State, now: float, events: Events) -> None:
        entry = self._entries[channel]
        entry.occupants[uuid].state = state
        events.append(PresenceEvent(STATE, channel, uuid, now, len(entry.occupants), state))

    def _announce(self, action: str, channel: str, uuid: str, now: float, events: Events) -> None:
        """Announce a change, or add it to the interval: from the first change above the maximum on."""
        entry = self._entries[channel]
        occupancy = len(entry.occupants)
        if entry.interval_at is None and occupancy > self.settings.announce_max:
            entry.interval_at = now + self.settings.interval_s
            self._plan(entry.interval_at, channel, None)
        if entry.interval_at is not None:
            entry.deltas.setdefault(action, {})[uuid] = None
            return
        occupant = entry.occupants.get(uuid)
        state = occupant.state if occupant else None
        events.append(PresenceEvent(action, channel, uuid, now, occupancy, state))

    def _interval(self, channel: str, at: float, events: Events) -> None:
        entry = self._entries.get(channel)
        if entry is None or entry.interval_at is None or entry.interval_at > at:
            return
        deltas = {action: tuple(entry.deltas[action]) for action in DELTAS if action in entry.deltas}
        entry.deltas = {}
        occupancy = len(entry.occupants)
        events.append(PresenceEvent(INTERVAL, channel, None, at, occupancy, deltas=deltas))
        if occupancy > self.settings.announce_max:
            entry.interval_at = at + self.settings.interval_s
            self._plan(entry.interval_at, channel, None)
        else:
            entry.interval_at = None
            if not occupancy:
                del self._entries[channel]

    def _plan(self, at: float, channel: str, uuid: str | None) -> None:
        self._turn += 1
        heappush(self._agenda, (at, self._turn, channel, uuid))
