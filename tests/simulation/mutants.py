"""The same walk with a rule taken out. With all rules kept, everything here hands on to the real files."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any
from unittest.mock import patch

from graph_service.model.model import ChangedPair, CommitResult, PresenceSnapshot
from graph_service.model.sharding import ShardMap
from pubnub_bridge.client.friend_list import FriendList, FriendView, Key
from pubnub_bridge.debounce.debouncer import Change, Debouncer, DebounceTimes
from pubnub_bridge.debounce.storm_detector import StormDetector, StormThresholds
from pubnub_bridge.fanout.batcher import Batcher, PendingBatch
from pubnub_bridge.model import friendship_event
from pubnub_bridge.model.notification import Event, NotificationBatch, SyncNotification
from pubnub_bridge.model.presence_event import PresenceEvent
from tests.simulation.rules import Rules


def hold(rules: Rules, times: DebounceTimes) -> Debouncer:
    """The hold, or one without some rule."""

    class Mutant(Debouncer):
        def _see(self, event: PresenceEvent, entry: str, again: bool, noticed: Any) -> None:
            known = self._unwritten(event.user)
            newest = known.at if known else self._newest(event.user)
            if not rules.older_is_nothing_new and event.at < newest:
                self._newer(event, entry, again, noticed)
            elif not rules.doubt_is_looked_up and event.at == newest:
                self._newer(event, entry, again, noticed)
            else:
                super()._see(event, entry, again, noticed)

        def _make_ready(self, change: Change) -> None:
            if rules.flap_is_written or change.again or change.tell:
                super()._make_ready(change)
            else:
                self._let_go(change.entries)

        def _plan(self, change: Change) -> None:
            if rules.storm_moves_deadlines or change.online or not change.due:
                super()._plan(change)
            else:
                change.due = change.began + self._longest

        def extend(self, shards: Collection[int], hold: int) -> None:
            if not rules.storm_only_waits and shards:
                for user in [user for user, change in self._waiting.items() if not change.online]:
                    if change := self._unwait(user):
                        self._let_go(change.entries)
            super().extend(shards, hold)

        def take(self, now: int, limit: int) -> list[Change]:
            before = dict(self._online)
            taken = super().take(now, limit)
            if not rules.taken_counts_as_settled:
                for change in taken:
                    if change.user in before:
                        self._online[change.user] = before[change.user]
                    else:
                        self._online.pop(change.user, None)
            return taken

        def resolved(self, change: Change, present: tuple[bool, int] | None = None) -> None:
            if not rules.taken_counts_as_settled:
                self._set(change.user, change.online, change.at)
            super().resolved(change, present)

    return Mutant(times)


def storms(rules: Rules, marks: StormThresholds) -> StormDetector:
    """The storms of the only shard, or ones without end."""

    class Endless(StormDetector):
        def _lasts(self, *_what: Any) -> bool:
            return True

    return (StormDetector if rules.storm_ends else Endless)(marks, ShardMap(1, 1))


def longest(rules: Rules, hold: int) -> int:
    """How long a leave waits at most, or without end."""
    return hold if rules.storm_hold_is_capped else 10**12


def overcharge(rules: Rules, coalesce: Batcher, admitted: int) -> None:
    """Where the graph bears no more syncs now, they wait, or are dropped."""
    if not rules.admitted_later_not_dropped and not admitted:
        for letter in coalesce._waiting.values():
            letter.sync = None if letter.needs_sync else letter.sync


def to_be_told(
    rules: Rules, changes: Sequence[Change], settled: CommitResult, real: Callable[..., list[str]]
) -> list[str]:
    """Who is told, or not all of them."""
    if not rules.equal_is_told:
        settled = replace(settled, equal=frozenset())
    if not rules.flipped_flap_is_told:
        changes = [change for change in changes if change.tell or change.again]
    return real(changes, settled)


def told(
    rules: Rules, rows: list[PresenceSnapshot], changes: Sequence[Change], clock: int
) -> list[PresenceSnapshot]:
    """What the read said, or something else."""
    if not rules.state_from_the_read:
        known = {change.user: change for change in changes}
        rows = [_as_decided(row, known.get(row.user)) for row in rows]
    if not rules.clock_from_the_read:
        rows = [replace(row, ts=clock) for row in rows]
    return rows


def _as_decided(row: PresenceSnapshot, change: Change | None) -> PresenceSnapshot:
    if change is None:
        return row
    online = change.online and not row.invisible
    return replace(row, online=online, present=change.online, presence_at=change.at)


def audible(rules: Rules, rows: list[PresenceSnapshot]) -> list[PresenceSnapshot]:
    """The invisible look offline, or not."""
    return rows if rules.invisible_is_silent else [replace(row, invisible=False) for row in rows]


def hidden(rules: Rules, settled: CommitResult, rows: list[PresenceSnapshot]) -> frozenset[str]:
    """Of whom nothing is told."""
    if not rules.invisible_is_silent:
        return frozenset()
    return settled.hidden if rules.visible_by_the_commit else frozenset(r.user for r in rows if r.invisible)


def without_syncs(rules: Rules, notifications: NotificationBatch) -> None:
    """Take the syncs out of what settling tells."""
    if not rules.settle_syncs:
        for partition, some in notifications.by_partition.items():
            notifications.by_partition[partition] = [
                one for one in some if not isinstance(one, SyncNotification)
            ]


def add_friendship_events(rules: Rules, pair: ChangedPair, notifications: NotificationBatch) -> None:
    """Both ends, or only those flagged online."""
    if not rules.relation_to_the_offline:
        pair = replace(
            pair,
            a=replace(pair.a, exists=pair.a.present),
            b=replace(pair.b, exists=pair.b.present),
        )
        if not (pair.a.exists and pair.b.exists):
            pair = replace(pair, friends=pair.friends and pair.a.exists and pair.b.exists)
    friendship_event.add_friendship_events(pair, notifications)


def events(rules: Rules, letter: PendingBatch) -> list[Event]:
    """What a letter tells."""
    if not rules.ended_friendship_silences:
        return [*letter.presence.values(), *letter.relations.values()]
    return letter.events()


class MutantView(FriendList):
    """A client without some rule."""

    def __init__(self, rules: Rules) -> None:
        super().__init__()
        self.rules = rules

    def _presence(self, said: Any, online: bool, key: Key, proof: bool = True) -> None:
        rules = self.rules
        if not rules.client_notice_beats_sync:
            key = (key[0], -key[1], key[2])
        if not rules.client_higher_at:
            key = (key[0], key[1], 0)
        if not rules.client_tombstones:
            self._removed.clear()
        if not rules.client_floor:
            self._floor = 0
        if not rules.client_newest_wins and key[0] > self._removed.get(said["userId"], -1):
            self.friends[said["userId"]] = FriendView(online, key, key[0])
            return
        super()._presence(said, online, key, proof)

    def _part(self, ts: int, payload: Any) -> None:
        if not self.rules.client_whole_syncs:
            self._sync(ts, set(payload["onlineFriends"]), payload["totalFriends"])
            return
        super()._part(ts, payload)


@contextmanager
def letters(rules: Rules) -> Iterator[None]:
    """The letter's own rules, or not."""
    real_put, real_sync = PendingBatch.put, PendingBatch.put_sync

    def put(self: PendingBatch, event: Event) -> bool:
        if not rules.never_nothing and event.is_presence:
            other = self.presence.get(event.user)
            if other is not None and other.kind != event.kind:
                del self.presence[event.user]
                return False
        if not rules.newest_in_a_letter and event.is_presence:
            self.presence[event.user] = event
            return True
        return real_put(self, event)

    def put_sync(self: PendingBatch, notice: SyncNotification) -> None:
        if rules.newer_sync_replaces or self.sync is None or self.sync.friends is None:
            real_sync(self, notice)

    with patch.object(PendingBatch, "put", put), patch.object(PendingBatch, "put_sync", put_sync):
        yield
