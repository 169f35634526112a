"""The encoders write what the message contracts define, for any names and ids."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from graph_service.model import timestamps
from graph_service.model.messages import (
    MAX_MESSAGE_BYTES,
    MESSAGE,
    FriendBatch,
    FriendOffline,
    FriendOnline,
    FriendsSync,
)
from graph_service.model.model import ChangedPair, End, PresenceSnapshot
from pubnub_bridge.model import encoding
from pubnub_bridge.model.friendship_event import add_friendship_events
from pubnub_bridge.model.notification import (
    Event,
    Notification,
    NotificationBatch,
    SyncNotification,
    decode,
    encode,
    presence_event,
    sync_of,
)

TEXT = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=40)
MICROS = st.integers(0, 4_000_000_000_000_000)


def snapshot(user: str = "ann", **more: object) -> PresenceSnapshot:
    """A user who is online."""
    base: dict[str, object] = {
        "user": user, "name": "Ann", "online": True, "invisible": False, "present": True, "presence_at": 1000,
        "last_seen": 900, "online_friends": ["bob"], "visible_friends": ["bob"], "total_friends": 3, "ts": 5_000_000,
    }  # fmt: skip
    return PresenceSnapshot(**(base | more))  # type: ignore[arg-type]


@given(TEXT, TEXT, st.integers(0, 4_000_000_000_000), MICROS)
def test_presence_is_encoded_as_the_contract_defines(user: str, name: str, at: int, ts: int) -> None:
    """With quotes, line ends and non-ASCII characters."""
    online = MESSAGE.validate_json(encoding.online(user, name, at, ts))
    assert isinstance(online, FriendOnline)
    assert (online.payload.user_id, online.payload.name, online.payload.at) == (user, name, at)
    offline = MESSAGE.validate_json(encoding.offline(user, at, at, ts))
    assert isinstance(offline, FriendOffline)
    assert timestamps.parse_microseconds(offline.payload.last_seen) == at * 1000
    assert timestamps.parse_microseconds(online.ts) == ts


@given(st.lists(st.tuples(MICROS, TEXT), min_size=2, max_size=30))
def test_a_batch_contains_its_events_as_they_are(events: list[tuple[int, str]]) -> None:
    """With the newest of their timestamps."""
    bodies = [(ts, encoding.online(user, user, 1, ts)) for ts, user in events]
    (body,) = encoding.batches("bob", bodies)
    batch = MESSAGE.validate_json(body)
    assert isinstance(batch, FriendBatch)
    assert [e.model_dump() for e in batch.payload.events] == [
        MESSAGE.validate_json(b).model_dump() for _, b in bodies
    ]
    assert timestamps.parse_microseconds(batch.ts) == max(ts for ts, _ in events)


def test_a_single_event_is_sent_as_itself_and_not_as_a_batch() -> None:
    body = encoding.online("ann", "Ann", 1, 2)
    assert encoding.batches("bob", [(2, body)]) == [body]


def test_batches_and_syncs_are_split_below_the_limit() -> None:
    """Every part is a complete message, and no event or friend is missing."""
    events = [(number, encoding.online(f"user-{number:060}", "N" * 100, 1, number)) for number in range(500)]
    parts = encoding.batches("bob", events)
    assert len(parts) > 1
    assert all(len(part) <= MAX_MESSAGE_BYTES - 1000 for part in parts)
    assert sum(len(json.loads(part)["payload"]["events"]) for part in parts) == 500
    friends = [f"user-{number:070}" for number in range(1000)]
    syncs = [MESSAGE.validate_json(part) for part in encoding.sync("ann", friends, 1000, 7)]
    assert len(syncs) == 3
    assert all(isinstance(one, FriendsSync) for one in syncs)
    assert [one.payload.part for one in syncs] == [1, 2, 3]  # type: ignore[union-attr]
    assert [f for one in syncs for f in one.payload.online_friends] == friends  # type: ignore[union-attr]
    assert len({one.ts for one in syncs}) == 1


def test_a_sync_without_online_friends_is_one_part() -> None:
    (body,) = encoding.sync("ann", [], 0, 7)
    assert json.loads(body)["payload"] == {
        "onlineFriends": [], "totalFriends": 0, "totalOnline": 0, "part": 1, "parts": 1,
    }  # fmt: skip


@given(TEXT, st.lists(TEXT, max_size=20), st.integers(0, 9))
def test_a_stream_entry_is_decoded_to_what_was_encoded(user: str, recipients: list[str], tries: int) -> None:
    notifications: list[Notification | SyncNotification] = [
        Notification(Event(user, "online", 1, 2, encoding.online(user, user, 1, 2)), recipients, tries),
        SyncNotification(user, 5, 2, recipients),
        SyncNotification(user, reason="asked"),
    ]
    assert decode(encode(notifications)) == notifications


def test_notifications_are_grouped_by_the_recipients_partition() -> None:
    """One entry a partition, for any number of events."""
    notifications = NotificationBatch(partition=lambda user: len(user) % 2)
    notifications.add(presence_event(snapshot()), ["a", "bb", "c"])
    notifications.sync(sync_of(snapshot()))
    assert set(notifications.bodies()) == {0, 1}
    assert notifications.recipients == 4


def test_an_invisible_user_looks_like_any_offline_friend() -> None:
    """With the time of becoming invisible, and not that of the presence that continues."""
    hidden = presence_event(snapshot(online=False, invisible=True, presence_at=9000, last_seen=5000))
    message = MESSAGE.validate_json(hidden.body)
    assert isinstance(message, FriendOffline)
    assert (message.payload.at, timestamps.parse_microseconds(message.payload.last_seen)) == (5000, 5_000_000)
    assert "9000" not in message.event_id


def end(user: str, **more: object) -> End:
    """One user of a pair."""
    base: dict[str, object] = {
        "id": user, "exists": True, "name": user.title(), "present": False, "invisible": False, "presence_at": 0,
        "last_seen": 0, "asked": False, "blocked": False,
    }  # fmt: skip
    return End(**(base | more))  # type: ignore[arg-type]


def sent(a: End, b: End, friends: bool = False) -> dict[str, dict[str, object]]:
    """The message in each inbox."""
    notifications = NotificationBatch(partition=lambda _user: 0)
    add_friendship_events(ChangedPair(node="n", a=a, b=b, friends=friends, since=0, ts=5), notifications)
    found = {}
    for one in notifications.by_partition.get(0, []):
        assert isinstance(one, Notification)
        MESSAGE.validate_json(one.event.body)
        found[one.recipients[0]] = json.loads(one.event.body)
    return found


def test_new_friends_are_notified_of_each_others_presence() -> None:
    """An invisible one is offline there, too."""
    both = sent(
        end("ann", present=True, presence_at=7), end("bob", present=True, invisible=True), friends=True
    )
    assert (both["bob"]["type"], both["bob"]["payload"]["online"]) == ("friend.added", True)  # type: ignore[index]
    assert (both["ann"]["type"], both["ann"]["payload"]["online"]) == ("friend.added", False)  # type: ignore[index]


def test_a_request_names_the_requester_to_both_users() -> None:
    """The requester's other devices receive it as well."""
    both = sent(end("ann", asked=True), end("bob"))
    assert {one["payload"]["requestedBy"] for one in both.values()} == {"ann"}  # type: ignore[index]


def test_a_request_that_a_block_hides_is_not_sent_to_the_blocker() -> None:
    """To the requester it looks pending."""
    both = sent(end("ann", asked=True), end("bob", blocked=True))
    assert both["ann"]["type"] == "friend.requested"
    assert both["bob"]["type"] == "friend.removed"


def test_a_block_looks_exactly_like_an_unfriending() -> None:
    """To both users."""
    assert sent(end("ann"), end("bob", blocked=True)) == sent(end("ann"), end("bob"))


def test_an_erased_user_is_not_notified() -> None:
    """The other user loses a friend."""
    both = sent(end("ann"), end("bob", exists=False), friends=True)
    assert both.keys() == {"ann"}
    assert both["ann"]["type"] == "friend.removed"


@given(st.integers(min_value=0, max_value=4_102_444_800_000_000))
def test_a_moment_is_written_with_six_digits_and_read_back_exactly(moment: int) -> None:
    """As Python's datetime writes it."""
    known = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=moment)
    assert timestamps.microseconds(moment) == known.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    assert timestamps.parse_microseconds(timestamps.microseconds(moment)) == moment


@given(st.lists(st.text(max_size=9), max_size=9))
def test_a_sync_is_json_in_ascii_for_any_ids(friends: list[str]) -> None:
    """With ids that need escapes, and with those that are encoded without a check of each."""
    (body,) = encoding.sync("ann", friends, 9, 7)
    assert body.isascii()
    assert json.loads(body)["payload"]["onlineFriends"] == friends
