"""A client's view: the newest message wins, removals last, syncs apply as a whole. In any order and with repeats."""

from __future__ import annotations

import json
from itertools import permutations
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from pubnub_bridge.client.friend_list import FriendList
from pubnub_bridge.model import encoding


def online(user: str, ts: int, at: int = 1) -> dict[str, Any]:
    """friend.online"""
    return json.loads(encoding.online(user, user, at, ts))  # type: ignore[no-any-return]


def offline(user: str, ts: int, at: int = 1) -> dict[str, Any]:
    """friend.offline"""
    return json.loads(encoding.offline(user, at, at, ts))  # type: ignore[no-any-return]


def removed(user: str, ts: int) -> dict[str, Any]:
    """friend.removed"""
    return json.loads(encoding.message("friend.removed", "e", ts, json.dumps({"userId": user, "name": user})))  # type: ignore[no-any-return]


def added(user: str, ts: int, is_online: bool) -> dict[str, Any]:
    """friend.added"""
    payload = {"userId": user, "name": user, "online": is_online, "lastSeen": None, "at": 1}
    return json.loads(encoding.message("friend.added", "e", ts, json.dumps(payload)))  # type: ignore[no-any-return]


def sync(ts: int, *friends: str, budget: int = encoding.MAX_BODY_BYTES) -> list[dict[str, Any]]:
    """friends.sync in its parts."""
    return [json.loads(part) for part in encoding.sync("me", friends, 9, ts, budget)]


def shown(*messages: dict[str, Any]) -> set[str]:
    """Friends online after these messages."""
    view = FriendList()
    for message in messages:
        view.apply(message)
    return view.online


def test_the_newest_ts_wins_in_any_order() -> None:
    """With a repeat."""
    messages = [online("ann", 1), offline("ann", 2), online("ann", 3)]
    for order in permutations([*messages, messages[0]]):
        assert shown(*order) == {"ann"}


def test_on_a_tie_a_notification_wins_over_a_sync_and_then_the_later_presence_wins() -> None:
    """In any order."""
    for order in permutations([online("ann", 5), *sync(5)]):
        assert shown(*order) == {"ann"}
    for order in permutations([online("ann", 5, at=1), offline("ann", 5, at=2)]):
        assert shown(*order) == set()


def test_nothing_older_passes_a_removal() -> None:
    """Nor does an older sync; a new friendship is newer."""
    for order in permutations([online("ann", 1), removed("ann", 2), *sync(1, "ann")]):
        assert shown(*order) == set()
    for order in permutations([removed("ann", 2), added("ann", 3, True)]):
        assert shown(*order) == {"ann"}


def test_a_sync_is_the_floor_for_friends_not_in_it() -> None:
    """An older notification that arrives late is ignored."""
    assert shown(*sync(5, "bob"), online("ann", 4)) == {"bob"}
    assert shown(*sync(5, "bob"), online("ann", 6)) == {"ann", "bob"}


def test_the_parts_of_a_sync_are_applied_together() -> None:
    """An incomplete sync changes nothing; a newer one discards it."""
    first, second = sync(5, "ann", "bob", budget=513)
    assert shown(online("cat", 1), first) == {"cat"}
    assert shown(online("cat", 1), second, first) == {"ann", "bob"}
    newer = sync(6, "dan", "eve", budget=513)
    assert shown(first, *newer, second) == {"dan", "eve"}


def test_the_newest_friendship_event_decides_a_request() -> None:
    view = FriendList()
    payload = {"userId": "ann", "name": "Ann", "requestedBy": "ann"}
    view.apply(json.loads(encoding.message("friend.requested", "e", 5, json.dumps(payload))))
    assert view.requests == {"ann": "ann"}
    view.apply(removed("ann", 4))
    assert view.requests == {"ann": "ann"}
    view.apply(added("ann", 6, False))
    assert view.requests == {}


def test_a_page_merges_by_its_ts() -> None:
    """A response older than a notification does not undo it."""
    view = FriendList()
    view.apply(online("ann", 5))
    view.page([{"id": "ann", "online": False, "name": "Ann"}, {"id": "bob", "online": True}], 4)
    assert view.online == {"ann", "bob"}


EVENTS = st.lists(
    st.one_of(
        st.builds(online, st.sampled_from("ab"), st.integers(1, 9), st.integers(1, 3)),
        st.builds(offline, st.sampled_from("ab"), st.integers(1, 9), st.integers(1, 3)),
        st.builds(removed, st.sampled_from("ab"), st.integers(1, 9)),
        st.builds(
            lambda ts, friends: sync(ts, *friends)[0], st.integers(1, 9), st.sets(st.sampled_from("ab"))
        ),
    ),
    max_size=6,
)


@given(EVENTS, st.randoms())
def test_repeats_never_change_the_view(events: list[dict[str, Any]], chance: Any) -> None:
    """All messages repeated in their order leave the same view."""
    assert shown(*events, *events) == shown(*events, *events, *events)
    again = [*events, chance.choice(events)] if events else events
    assert shown(*again, *events) == shown(*events, *again[len(events) :], *events)


def test_parts_of_two_syncs_do_not_make_one() -> None:
    """A late part of an older sync is nothing to a newer one that is not complete yet."""
    friends = FriendList()
    for second, part, friend in ((2, 1, "ann"), (1, 2, "bob")):
        stamp = f"2026-01-01T00:00:0{second}.000000Z"
        payload = {"onlineFriends": [friend], "totalFriends": 2, "totalOnline": 2, "part": part, "parts": 2}
        friends.apply({"type": "friends.sync", "schemaVersion": "1.0.0", "ts": stamp, "payload": payload})
    assert friends.online == set()
