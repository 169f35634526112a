"""The fast encoders write what the contracts say, whatever the names hold."""

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


def told(user: str = "ann", **more: object) -> PresenceSnapshot:
    """A user who is online."""
    base: dict[str, object] = {
        "user": user, "name": "Ann", "online": True, "invisible": False, "present": True, "presence_at": 1000,
        "last_seen": 900, "online_friends": ["bob"], "visible_friends": ["bob"], "total_friends": 3, "ts": 5_000_000,
    }  # fmt: skip
    return PresenceSnapshot(**(base | more))  # type: ignore[arg-type]


@given(TEXT, TEXT, st.integers(0, 4_000_000_000_000), MICROS)
def test_presence_is_written_as_the_contract_says(user: str, name: str, at: int, ts: int) -> None:
    """Quotes, line ends and foreign letters included."""
    online = MESSAGE.validate_json(encoding.online(user, name, at, ts))
    assert isinstance(online, FriendOnline)
    assert (online.payload.user_id, online.payload.name, online.payload.at) == (user, name, at)
    offline = MESSAGE.validate_json(encoding.offline(user, at, at, ts))
    assert isinstance(offline, FriendOffline)
    assert timestamps.parse_microseconds(offline.payload.last_seen) == at * 1000
    assert timestamps.parse_microseconds(online.ts) == ts


@given(st.lists(st.tuples(MICROS, TEXT), min_size=2, max_size=30))
def test_a_batch_holds_its_events_as_they_are(events: list[tuple[int, str]]) -> None:
    """And the newest of their stamps."""
    bodies = [(ts, encoding.online(user, user, 1, ts)) for ts, user in events]
    (body,) = encoding.batches("bob", bodies)
    batch = MESSAGE.validate_json(body)
    assert isinstance(batch, FriendBatch)
    assert [e.model_dump() for e in batch.payload.events] == [
        MESSAGE.validate_json(b).model_dump() for _, b in bodies
    ]
    assert timestamps.parse_microseconds(batch.ts) == max(ts for ts, _ in events)


def test_a_lone_event_is_sent_as_itself() -> None:
    """No batch of one."""
    body = encoding.online("ann", "Ann", 1, 2)
    assert encoding.batches("bob", [(2, body)]) == [body]


def test_batches_and_syncs_are_split_below_the_limit() -> None:
    """Every part is a message of its own; nothing is missing."""
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


def test_a_sync_without_friends_is_one_part() -> None:
    """Nobody is online: that is told as well."""
    (body,) = encoding.sync("ann", [], 0, 7)
    assert json.loads(body)["payload"] == {
        "onlineFriends": [], "totalFriends": 0, "totalOnline": 0, "part": 1, "parts": 1,
    }  # fmt: skip


@given(TEXT, st.lists(TEXT, max_size=20), st.integers(0, 9))
def test_a_stream_entry_says_what_was_put_in(user: str, recipients: list[str], tries: int) -> None:
    """Encode, then decode."""
    notices: list[Notification | SyncNotification] = [
        Notification(Event(user, "online", 1, 2, encoding.online(user, user, 1, 2)), recipients, tries),
        SyncNotification(user, 5, 2, recipients),
        SyncNotification(user, reason="asked"),
    ]
    assert decode(encode(notices)) == notices


def test_notices_are_spread_by_the_recipients_partition() -> None:
    """One entry a partition, whatever the number of events."""
    notifications = NotificationBatch(partition=lambda user: len(user) % 2)
    notifications.add(presence_event(told()), ["a", "bb", "c"])
    notifications.sync(sync_of(told()))
    assert set(notifications.bodies()) == {0, 1}
    assert notifications.recipients == 4


def test_who_hides_looks_like_any_offline_friend() -> None:
    """With the time of hiding, not that of the presence that goes on."""
    hidden = presence_event(told(online=False, invisible=True, presence_at=9000, last_seen=5000))
    message = MESSAGE.validate_json(hidden.body)
    assert isinstance(message, FriendOffline)
    assert (message.payload.at, timestamps.parse_microseconds(message.payload.last_seen)) == (5000, 5_000_000)
    assert "9000" not in message.event_id


def end(user: str, **more: object) -> End:
    """One end of a pair."""
    base: dict[str, object] = {
        "id": user, "exists": True, "name": user.title(), "present": False, "invisible": False, "presence_at": 0,
        "last_seen": 0, "asked": False, "blocked": False,
    }  # fmt: skip
    return End(**(base | more))  # type: ignore[arg-type]


def heard(a: End, b: End, friends: bool = False) -> dict[str, dict[str, object]]:
    """What each inbox gets."""
    notifications = NotificationBatch(partition=lambda _user: 0)
    add_friendship_events(ChangedPair("n", a, b, friends, 0, 5), notifications)
    found = {}
    for notice in notifications.by_partition.get(0, []):
        assert isinstance(notice, Notification)
        MESSAGE.validate_json(notice.event.body)
        found[notice.recipients[0]] = json.loads(notice.event.body)
    return found


def test_new_friends_are_told_each_others_presence() -> None:
    """The invisible one is offline there, too."""
    both = heard(
        end("ann", present=True, presence_at=7), end("bob", present=True, invisible=True), friends=True
    )
    assert (both["bob"]["type"], both["bob"]["payload"]["online"]) == ("friend.added", True)  # type: ignore[index]
    assert (both["ann"]["type"], both["ann"]["payload"]["online"]) == ("friend.added", False)  # type: ignore[index]


def test_a_request_says_to_both_who_asked() -> None:
    """The asker's other devices learn of it."""
    both = heard(end("ann", asked=True), end("bob"))
    assert {one["payload"]["requestedBy"] for one in both.values()} == {"ann"}  # type: ignore[index]


def test_a_request_that_a_block_hides_is_not_told_to_the_blocker() -> None:
    """The asker believes it to be pending."""
    both = heard(end("ann", asked=True), end("bob", blocked=True))
    assert both["ann"]["type"] == "friend.requested"
    assert both["bob"]["type"] == "friend.removed"


def test_a_block_looks_exactly_like_an_unfriending() -> None:
    """To both ends."""
    assert heard(end("ann"), end("bob", blocked=True)) == heard(end("ann"), end("bob"))


def test_the_erased_are_told_nothing() -> None:
    """The other end loses a friend."""
    both = heard(end("ann"), end("bob", exists=False), friends=True)
    assert both.keys() == {"ann"}
    assert both["ann"]["type"] == "friend.removed"


@given(st.integers(min_value=0, max_value=4_102_444_800_000_000))
def test_a_moment_is_written_with_six_digits_and_read_back_exactly(moment: int) -> None:
    """As Python's own datetime writes it, whatever is kept of the second."""
    known = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=moment)
    assert timestamps.microseconds(moment) == known.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    assert timestamps.parse_microseconds(timestamps.microseconds(moment)) == moment


@given(st.lists(st.text(max_size=9), max_size=9))
def test_whatever_ids_a_sync_holds_it_is_json_in_ascii(friends: list[str]) -> None:
    """Also those that need escapes; lists of plain ones are written the short way."""
    (body,) = encoding.sync("ann", friends, 9, 7)
    assert body.isascii()
    assert json.loads(body)["payload"]["onlineFriends"] == friends
