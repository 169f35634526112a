"""No message is lost or duplicated between cursors, however the polls are split."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from local_stack.origin.channels import Channels
from local_stack.origin.envelope import Envelope, event

CHANNELS = ("a", "b", "w.x", "w.y.z")
SOURCES = [(name, name) for name in ("a", "b", "w.*", "w.y.*")]

action = st.one_of(st.sampled_from(CHANNELS), st.just("poll"))


def expected(channel: str) -> list[str]:
    """The subscriptions that match a message of `channel`."""
    return {"a": ["a"], "b": ["b"], "w.x": ["w.*"], "w.y.z": ["w.*", "w.y.*"]}[channel]


@settings(max_examples=300, deadline=None)
@given(st.lists(action, max_size=80))
def test_each_message_comes_once_for_each_match_in_order(plan: list[str]) -> None:
    """With fewer than a hundred between two polls."""
    queue, cursor, timetoken = Channels(), 0, 1
    sent: list[tuple[str, int]] = []
    got: list[tuple[str, int]] = []
    for word in [*plan, "poll"]:
        if word == "poll":
            found = queue.read(SOURCES, cursor)
            assert [message.timetoken for _, message in found] == sorted(
                message.timetoken for _, message in found
            )
            got += [(match, message.timetoken) for match, message in found]
            cursor = max((message.timetoken for _, message in found), default=cursor)
        else:
            timetoken += 3
            queue.append(event(Envelope(channel=word, payload=0), timetoken, "k", "5", 1))
            sent += [(match, timetoken) for match in expected(word)]
    assert sorted(got) == sorted(sent)


@settings(max_examples=200, deadline=None)
@given(
    st.lists(st.tuples(st.sampled_from(CHANNELS), st.integers(1, 10**9)), max_size=200), st.integers(1, 20)
)
def test_the_queue_forgets_the_oldest_and_nothing_else(plan: list[tuple[str, int]], bound: int) -> None:
    """By number over all channels and by age; a stored event is in every log that it belongs to."""
    queue, timetoken = Channels(max_per_channel=100, max_age_seconds=100.0, max_in_all=bound), 1
    sent: list[tuple[str, int]] = []
    for channel, gap in plan:
        timetoken += gap
        queue.append(event(Envelope(channel=channel, payload=0), timetoken, "k", "5", 1))
        sent.append((channel, timetoken))
    kept = [(channel, at) for channel, at in sent[-bound:] if at >= timetoken - 100 * 10**7]
    found = queue.read(SOURCES, 0)
    assert sorted(
        (message.channel, message.timetoken) for match, message in found if match != "w.y.*"
    ) == sorted(kept)
    assert len(queue.events()) == len(kept)
