"""A watcher shows the difference that a message makes, and nothing else."""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from graph_service.model.timestamps import microseconds
from pubnub_bridge.client.diff import Kind, apply
from pubnub_bridge.client.friend_list import FriendList

FRIENDS = ("ann", "bob", "eve")


def message(kind: str, ts: int, **payload: Any) -> dict[str, Any]:
    """One message of the contracts."""
    return {"type": kind, "eventId": f"evt_{ts}", "ts": microseconds(ts), "payload": payload}


def online(user: str, ts: int) -> dict[str, Any]:
    """friend.online"""
    return message("friend.online", ts, userId=user, name=user.title(), at=ts // 1000)


def offline(user: str, ts: int) -> dict[str, Any]:
    """friend.offline"""
    return message("friend.offline", ts, userId=user, lastSeen=microseconds(ts), at=ts // 1000)


def sync(ts: int, *users: str, total: int = 3) -> dict[str, Any]:
    """friends.sync"""
    return message("friends.sync", ts, onlineFriends=list(users), totalFriends=total, totalOnline=len(users))


def changes_of(view: FriendList, *messages: dict[str, Any]) -> list[tuple[str, str | None]]:
    """Kinds and users of all changes."""
    return [(change.kind.value, change.user) for one in messages for change in apply(view, one)]


def test_a_repeat_and_an_older_message_change_nothing() -> None:
    """However late they arrive."""
    view = FriendList()
    assert changes_of(view, online("ann", 20)) == [("online", "ann")]
    assert changes_of(view, online("ann", 20), offline("ann", 10), sync(15)) == [("sync", None)]
    assert view.online == {"ann"}


def test_the_first_sync_is_one_change_and_a_later_one_names_each_friend_who_differs() -> None:
    """Friends who were online before are no change."""
    view = FriendList()
    assert changes_of(view, sync(10, "ann", "bob")) == [("sync", None)]
    assert changes_of(view, sync(20, "bob", "eve")) == [("sync", None), ("online", "eve"), ("offline", "ann")]
    assert changes_of(view, sync(30, "bob", "eve")) == []


def test_a_split_sync_is_applied_once_it_is_complete() -> None:
    """Parts can arrive in any order."""
    view = FriendList()
    parts = [sync(10, user) for user in ("ann", "bob")]
    for number, part in enumerate(parts, 1):
        part["payload"] |= {"part": number, "parts": 2}
    assert changes_of(view, parts[1]) == []
    (change,) = apply(view, parts[0])
    assert (change.kind, change.online) == (Kind.SYNC, 2)


def test_a_batch_is_shown_event_by_event() -> None:
    """With the number of friends online after each."""
    batch = message("friend.batch", 30, events=[online("ann", 10), online("bob", 20), offline("ann", 30)])
    changes = apply(FriendList(), batch)
    assert [(change.kind, change.user, change.online) for change in changes] == [
        (Kind.ONLINE, "ann", 1),
        (Kind.ONLINE, "bob", 2),
        (Kind.OFFLINE, "ann", 1),
    ]
    assert changes[-1].name == "Ann", "friend.offline carries no name; the known one is shown"


def test_a_friendship_is_shown_from_the_request_to_its_end() -> None:
    """Requested, added, removed; an older message about the removed friend is not shown."""
    view = FriendList()
    asked = message("friend.requested", 10, userId="ann", name="Ann", requestedBy="ann")
    added = message("friend.added", 20, userId="ann", name="Ann", online=False, at=0)
    removed = message("friend.removed", 30, userId="ann", name="Ann")
    assert changes_of(view, asked, added, removed, online("ann", 25)) == [
        ("requested", "ann"),
        ("added", "ann"),
        ("removed", "ann"),
    ]


def test_a_request_that_ends_is_shown_as_answered() -> None:
    """Declined and cancelled look the same."""
    view = FriendList()
    asked = message("friend.requested", 10, userId="ann", name="Ann", requestedBy="ann")
    assert changes_of(view, asked, message("friend.removed", 20, userId="ann")) == [
        ("requested", "ann"),
        ("answered", "ann"),
    ]


EVENTS = st.one_of(
    st.builds(online, st.sampled_from(FRIENDS), st.integers(1, 30)),
    st.builds(offline, st.sampled_from(FRIENDS), st.integers(1, 30)),
    st.builds(lambda ts, users: sync(ts, *users), st.integers(1, 30), st.sets(st.sampled_from(FRIENDS))),
)


@given(st.lists(EVENTS, max_size=30))
@settings(max_examples=300, deadline=None)
def test_all_changes_add_up_to_the_view(events: list[dict[str, Any]]) -> None:
    """After a first sync, in any order of arrival: the reported changes are exactly those of the view."""
    view = FriendList()
    apply(view, sync(0))
    shown: set[str] = set()
    for event in events:
        for change in apply(view, event):
            if change.kind is Kind.ONLINE:
                assert change.user not in shown
                shown.add(str(change.user))
            elif change.kind is Kind.OFFLINE:
                shown.remove(str(change.user))
        assert shown == view.online
