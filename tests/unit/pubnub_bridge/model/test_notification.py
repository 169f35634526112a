"""Entries for a queue with a size limit: split anywhere, they notify the same users of the same, in the same order."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from pubnub_bridge.fanout.sqs_queue import Address, sendable
from pubnub_bridge.model.notification import Event, Notification, SyncNotification, decode, encode, split

USERS = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=12)
EVENT = Event("ann", "online", 1, 2, b'{"eventId":"e"}')
NOTIFICATIONS = st.lists(
    st.one_of(
        st.builds(Notification, st.just(EVENT), st.lists(USERS, min_size=1, max_size=30), st.integers(0, 5)),
        st.builds(
            SyncNotification, USERS, st.just(7), st.just(9), st.lists(USERS, max_size=30), st.just("join")
        ),
    ),
    min_size=1,
    max_size=8,
)


def contents(entries: list[bytes]) -> list[tuple[object, ...]]:
    """Events and recipients in their order; of a sync only its user, since it may have become a pending resync."""
    rows: list[tuple[object, ...]] = []
    for one in (one for entry in entries for one in decode(entry)):
        if isinstance(one, SyncNotification):
            rows.append(("sync", one.user, one.reason))
        else:
            rows += [(one.event, recipient, one.tries) for recipient in one.recipients]
    return rows


@given(NOTIFICATIONS, st.integers(300, 3000))
def test_a_split_entry_contains_the_same_in_entries_that_fit(
    notifications: list[Notification | SyncNotification], max_bytes: int
) -> None:
    entry = encode(notifications)
    parts = split(entry, max_bytes)
    assert contents(parts) == contents([entry])
    assert all(len(part) <= max_bytes for part in parts)


@given(NOTIFICATIONS)
def test_what_is_sent_to_sqs_contains_the_same(notifications: list[Notification | SyncNotification]) -> None:
    """And none of the characters it rejects (AWS docs: SendMessage)."""
    entry = encode(notifications)
    parts = sendable(entry)
    assert contents(parts) == contents([entry])
    for part in parts:
        assert all(one in "\t\n\r" or " " <= one < "\ufffe" or one > "\uffff" for one in part.decode())


def test_the_address_of_a_queue_has_server_name_and_region() -> None:
    """Where the host does not name a region, AWS's own settings do."""
    there = Address.of("sqs://sqs.eu-central-1.amazonaws.com/123456789012/notices.fifo")
    assert there.queue == "https://sqs.eu-central-1.amazonaws.com/123456789012/notices.fifo"
    assert there.region == "eu-central-1"
    here = Address.of("sqs+http://127.0.0.1:5000/1/n.fifo")
    assert (here.endpoint, here.region) == ("http://127.0.0.1:5000", None)
