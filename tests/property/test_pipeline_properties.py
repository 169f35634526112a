"""Properties of the pure modules for any input: a replay decides like the live run, coalescing keeps the final view."""

from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st

from graph_service.model.sharding import ShardMap
from pubnub_bridge.client.friend_list import FriendList
from pubnub_bridge.debounce.debouncer import Debouncer, DebounceTimes
from pubnub_bridge.fanout.batcher import Batcher, BatchWindow
from pubnub_bridge.fanout.publisher import bodies
from pubnub_bridge.model import encoding
from pubnub_bridge.model.notification import Event, Notification, SyncNotification
from pubnub_bridge.model.presence_event import PresenceEvent

EVENTS = st.lists(
    st.builds(
        lambda user, online, at: PresenceEvent(user, online, at, 0, "join" if online else "leave"),
        st.sampled_from("ab"),
        st.booleans(),
        st.integers(0, 40).map(lambda seconds: seconds * 500),
    ),
    max_size=14,
)


def commit_due(debouncer: Debouncer, now: int) -> None:
    """Commit all changes that are due, as a graph that accepts all of them does."""
    while taken := debouncer.take(now, 100):
        for change in taken:
            debouncer.resolved(change)


@given(EVENTS)
def test_a_replay_ends_with_the_same_users_online_as_the_live_run(events: list[PresenceEvent]) -> None:
    """Live: changes are committed as time passes. Replayed: all events are read at once, long after."""
    ordered = sorted({(e.user, e.at): e for e in events}.values(), key=lambda event: event.at)
    live, replayed = Debouncer(times=DebounceTimes()), Debouncer(times=DebounceTimes())
    for number, event in enumerate(ordered):
        commit_due(live, event.at)
        live.add([event], str(number))
    for number, event in enumerate(ordered):
        replayed.add([event], str(number), redelivered=True)
    for debouncer in (live, replayed):
        commit_due(debouncer, 1_000_000)
    assert set(live.online) == set(replayed.online)


@given(EVENTS, st.lists(st.integers(0, 25_000), max_size=6), st.booleans())
def test_every_entry_is_resolved_exactly_once(
    events: list[PresenceEvent], times: list[int], again: bool
) -> None:
    """For any interleaving of events and commits, once conflicts are looked up and all changes are committed."""
    debouncer, conflicts, done = Debouncer(times=DebounceTimes()), [], []
    for number, event in enumerate(events):
        conflicts += [str(number) for _ in debouncer.add([event], str(number), redelivered=again).conflicts]
        if times:
            for change in debouncer.take(times[number % len(times)], 1):
                debouncer.resolved(change, (not change.online, change.at + 1) if number % 3 == 0 else None)
    commit_due(debouncer, 1_000_000)
    for entry in conflicts:
        debouncer.looked_up(entry)
    done += debouncer.finished()
    assert sorted(done) == sorted(str(number) for number in range(len(events)))
    assert len(debouncer) == 0


@given(EVENTS)
def test_no_friend_is_notified_before_the_debounce_time(events: list[PresenceEvent]) -> None:
    debouncer = Debouncer(times=DebounceTimes(online=5000, leave=3000, timeout=3000))
    for number, event in enumerate(events):
        debouncer.add([event], str(number))
    for change in debouncer.take(1_000_000, 100):
        if change.notify:
            assert change.due >= 3000


NOTIFICATIONS = st.lists(
    st.tuples(
        st.sampled_from(["online", "offline", "removed", "added", "sync"]),
        st.sampled_from("ab"),
        st.integers(1, 12),
        st.integers(1, 3),
        st.sampled_from([0.0, 1.0, 3.0]),
    ),
    max_size=12,
)


def notification(kind: str, user: str, ts: int, at: int) -> Notification | SyncNotification:
    """One notification for the inbox of m."""
    if kind == "sync":
        return SyncNotification("m", ts, 2, [user])
    if kind == "online":
        body = encoding.online(user, user, at, ts)
    elif kind == "offline":
        body = encoding.offline(user, at, at, ts)
    elif kind == "removed":
        body = encoding.message("friend.removed", "e", ts, json.dumps({"userId": user, "name": user}))
    else:
        payload = {"userId": user, "name": user, "online": True, "lastSeen": None, "at": at}
        body = encoding.message("friend.added", "e", ts, json.dumps(payload))
    return Notification(Event(user, kind, at, ts, body), ["m"])


def shown(messages: list[bytes]) -> set[str]:
    """The users online in the view after these messages."""
    view = FriendList()
    for message in messages:
        view.apply(json.loads(message))
    return view.online


@given(NOTIFICATIONS)
def test_coalescing_never_changes_the_final_view(
    notifications: list[tuple[str, str, int, int, float]],
) -> None:
    """For any batch windows: the same view as when every event is a message of one."""
    # One state has one body: a graph has one state at a time and stamp.
    unique = {(user, ts, at): (kind, user, ts, at, wait) for kind, user, ts, at, wait in notifications}
    known = {(kind == "sync", ts): (kind, user, ts, at, wait) for kind, user, ts, at, wait in unique.values()}
    rows = list(known.values())
    batcher, plain, coalesced = (
        Batcher(window=BatchWindow(min_interval_seconds=0.0, min_sync_interval_seconds=0.0)),
        [],
        [],
    )
    now = 0.0
    for kind, user, ts, at, wait in rows:
        single = Batcher(window=BatchWindow(min_interval_seconds=0.0, min_sync_interval_seconds=0.0))
        single.add([notification(kind, user, ts, at)], 0.0)
        plain += [body for batch in single.take(0.0, 9) for body in bodies(batch, batch.sync)]
        batcher.add([notification(kind, user, ts, at)], now, wait)
        now += 0.5
        for batch in batcher.take(now, 9):
            coalesced += bodies(batch, batch.sync)
            batcher.done(batch, now)
    for batch in batcher.take(1e9, 9):
        coalesced += bodies(batch, batch.sync)
    assert shown(coalesced) == shown(plain)


@given(st.text(min_size=1, max_size=20).filter(lambda text: max(text) < "\ud800"))
def test_every_shard_of_a_user_is_subscribed_by_the_users_partition(user: str) -> None:
    """With the old number of shards and the new one."""
    for shards in (ShardMap(20, 100), ShardMap(20, 400)):
        assert shards.shard(user) in ShardMap(20, 400).shards_of(shards.partition(user))
