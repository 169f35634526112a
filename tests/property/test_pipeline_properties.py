"""What must hold of the pure files whatever they are given: replay equals live, coalescing keeps the final view."""

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


def settled(hold: Debouncer, now: int) -> None:
    """Settle all that is due, as a graph that takes everything would."""
    while taken := hold.take(now, 100):
        for change in taken:
            hold.resolved(change)


@given(EVENTS)
def test_who_is_online_in_the_end_is_the_same_live_and_replayed(events: list[PresenceEvent]) -> None:
    """Live: each event settles as its time goes by. Replayed: all are read at once, long after."""
    ordered = sorted({(e.user, e.at): e for e in events}.values(), key=lambda event: event.at)
    live, replayed = Debouncer(DebounceTimes()), Debouncer(DebounceTimes())
    for number, event in enumerate(ordered):
        settled(live, event.at)
        live.see([event], str(number))
    for number, event in enumerate(ordered):
        replayed.see([event], str(number), again=True)
    for hold in (live, replayed):
        settled(hold, 1_000_000)
    assert set(live.online) == set(replayed.online)


@given(EVENTS, st.lists(st.integers(0, 25_000), max_size=6), st.booleans())
def test_every_entry_is_finished_exactly_once(
    events: list[PresenceEvent], turns: list[int], again: bool
) -> None:
    """However events and turns are mixed, once doubts are looked up and all is settled."""
    hold, doubts, done = Debouncer(DebounceTimes()), [], []
    for number, event in enumerate(events):
        doubts += [str(number) for _ in hold.see([event], str(number), again).doubtful]
        if turns:
            for change in hold.take(turns[number % len(turns)], 1):
                hold.resolved(change, (not change.online, change.at + 1) if number % 3 == 0 else None)
    settled(hold, 1_000_000)
    for entry in doubts:
        hold.looked_up(entry)
    done += hold.finished()
    assert sorted(done) == sorted(str(number) for number in range(len(events)))
    assert len(hold) == 0


@given(EVENTS)
def test_nothing_settles_before_its_hold(events: list[PresenceEvent]) -> None:
    """What is told of has lasted."""
    hold = Debouncer(DebounceTimes(online=5000, leave=3000, timeout=3000))
    for number, event in enumerate(events):
        hold.see([event], str(number))
    for change in hold.take(1_000_000, 100):
        if change.tell:
            assert change.due >= 3000


NOTICES = st.lists(
    st.tuples(
        st.sampled_from(["online", "offline", "removed", "added", "sync"]),
        st.sampled_from("ab"),
        st.integers(1, 12),
        st.integers(1, 3),
        st.sampled_from([0.0, 1.0, 3.0]),
    ),
    max_size=12,
)


def notice(kind: str, user: str, ts: int, at: int) -> Notification | SyncNotification:
    """One notice for the inbox of m."""
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
    """Who is online after these messages."""
    view = FriendList()
    for message in messages:
        view.apply(json.loads(message))
    return view.online


@given(NOTICES)
def test_coalescing_never_changes_the_final_view(notices: list[tuple[str, str, int, int, float]]) -> None:
    """Whatever the windows: the same picture as when everything is sent by itself."""
    # One state has one body: a graph has one state at a time and stamp.
    unique = {(user, ts, at): (kind, user, ts, at, wait) for kind, user, ts, at, wait in notices}
    known = {(kind == "sync", ts): (kind, user, ts, at, wait) for kind, user, ts, at, wait in unique.values()}
    rows = list(known.values())
    one, plain, coalesced = Batcher(BatchWindow(distance=0.0, sync_distance=0.0)), [], []
    now = 0.0
    for kind, user, ts, at, wait in rows:
        single = Batcher(BatchWindow(distance=0.0, sync_distance=0.0))
        single.add([notice(kind, user, ts, at)], 0.0)
        plain += [body for batch in single.take(0.0, 9) for body in bodies(batch, batch.sync)]
        one.add([notice(kind, user, ts, at)], now, wait)
        now += 0.5
        for batch in one.take(now, 9):
            coalesced += bodies(batch, batch.sync)
            one.done(batch, now)
    for batch in one.take(1e9, 9):
        coalesced += bodies(batch, batch.sync)
    assert shown(coalesced) == shown(plain)


@given(st.text(min_size=1, max_size=20).filter(lambda text: max(text) < "\ud800"))
def test_every_shard_of_a_user_is_among_those_its_partition_listens_to(user: str) -> None:
    """With the old number of shards and the new one."""
    for shards in (ShardMap(20, 100), ShardMap(20, 400)):
        assert shards.shard(user) in ShardMap(20, 400).shards_of(shards.partition(user))
