"""Entries for a queue with a limit: split anywhere, they tell the same people the same, in the same order."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from pubnub_bridge.fanout.sqs_queue import Address, sendable
from pubnub_bridge.model.notification import Event, Notification, SyncNotification, decode, encode, split

USERS = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=12)
EVENT = Event("ann", "online", 1, 2, b'{"eventId":"e"}')
NOTICES = st.lists(
    st.one_of(
        st.builds(Notification, st.just(EVENT), st.lists(USERS, min_size=1, max_size=30), st.integers(0, 5)),
        st.builds(
            SyncNotification, USERS, st.just(7), st.just(9), st.lists(USERS, max_size=30), st.just("join")
        ),
    ),
    min_size=1,
    max_size=8,
)


def told(entries: list[bytes]) -> list[tuple[object, ...]]:
    """Who is told of what, one after the other; of a sync only whose it is, since it may have become an owed one."""
    rows: list[tuple[object, ...]] = []
    for notice in (one for entry in entries for one in decode(entry)):
        if isinstance(notice, SyncNotification):
            rows.append(("sync", notice.user, notice.reason))
        else:
            rows += [(notice.event, recipient, notice.tries) for recipient in notice.recipients]
    return rows


@given(NOTICES, st.integers(300, 3000))
def test_a_split_entry_tells_the_same_in_entries_that_fit(
    notices: list[Notification | SyncNotification], most: int
) -> None:
    """Everybody once, in order."""
    entry = encode(notices)
    parts = split(entry, most)
    assert told(parts) == told([entry])
    assert all(len(part) <= most for part in parts)


@given(NOTICES)
def test_what_sqs_is_sent_says_the_same(notices: list[Notification | SyncNotification]) -> None:
    """And has none of the characters it refuses (AWS docs: SendMessage)."""
    entry = encode(notices)
    parts = sendable(entry)
    assert told(parts) == told([entry])
    for part in parts:
        assert all(one in "\t\n\r" or " " <= one < "\ufffe" or one > "\uffff" for one in part.decode())


def test_a_queues_address_says_its_server_its_name_and_its_region() -> None:
    """Where the host does not name a region, AWS's own settings do."""
    there = Address.of("sqs://sqs.eu-central-1.amazonaws.com/123456789012/notices.fifo")
    assert there.queue == "https://sqs.eu-central-1.amazonaws.com/123456789012/notices.fifo"
    assert there.region == "eu-central-1"
    here = Address.of("sqs+http://127.0.0.1:5000/1/n.fifo")
    assert (here.endpoint, here.region) == ("http://127.0.0.1:5000", None)
