"""Stored messages: slices, pages, counts, deletion, lifetime and bounds."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from local_stack.origin.history import TIMETOKENS_PER_HOUR, History, Slice, Stored


def kept(*timetokens: int, **bounds: int) -> History:
    """A history of channel `c`."""
    history = History(**bounds)
    for timetoken in timetokens:
        history.store(Stored("c", timetoken, f"m{timetoken}"))
    return history


def timetokens(
    history: History, start: int | None = None, end: int | None = None, most: int = 100
) -> list[int]:
    """The timetokens of a fetch of channel `c`."""
    return [stored.timetoken for stored in history.fetch("c", Slice(start, end), most, now=0)]


@pytest.mark.parametrize(
    ("start", "end", "most", "found"),
    [
        (None, None, 100, [1, 2, 3, 4, 5]),
        (None, None, 2, [4, 5]),
        (3, None, 100, [1, 2]),
        (None, 3, 100, [3, 4, 5]),
        (5, 2, 100, [2, 3, 4]),
        (5, 2, 2, [3, 4]),
        (2, 5, 2, [3, 4]),
        (2, 5, 100, [3, 4, 5]),
        (3, 3, 100, []),
        (None, None, 0, []),
    ],
)
def test_a_slice_leaves_out_its_start_and_holds_its_end(
    start: int | None, end: int | None, most: int, found: list[int]
) -> None:
    """Oldest first; a short page has the newest, or the oldest when `start` is the earlier one."""
    assert timetokens(kept(1, 2, 3, 4, 5), start, end, most) == found


@given(st.sets(st.integers(1, 500), max_size=60), st.integers(1, 9))
def test_paging_back_by_start_shows_every_message_exactly_once(stored: set[int], most: int) -> None:
    """Each page begins before the oldest of the last one."""
    history, seen, start = kept(*stored), list[int](), None
    while page := timetokens(history, start, None, most):
        seen = page + seen
        start = page[0]
    assert seen == sorted(stored)


@given(st.lists(st.integers(1, 50), unique=True))
def test_messages_are_ordered_by_timetoken_however_they_come(arrival: list[int]) -> None:
    """A publisher may supply older timetokens."""
    assert timetokens(kept(*arrival)) == sorted(arrival)


def test_a_count_leaves_its_timetoken_out() -> None:
    """The message last read is not unread."""
    history = kept(1, 2, 3)
    assert [history.count("c", since, now=0) for since in (0, 2, 3, 4)] == [3, 1, 0, 0]
    assert history.count("unknown", 0, now=0) == 0


@pytest.mark.parametrize(
    ("start", "end", "left"),
    [
        (None, None, []),
        (2, 3, [1, 2, 4]),
        (1, None, [1]),
        (None, 2, [3, 4]),
        (4, 2, [1, 4]),
        (3, 3, [1, 2, 3, 4]),
    ],
)
def test_deleting_takes_the_slice_and_nothing_else(
    start: int | None, end: int | None, left: list[int]
) -> None:
    """One message is deleted by a start just before it and itself as the end."""
    history = kept(1, 2, 3, 4)
    gone = history.delete("c", Slice(start, end))
    assert timetokens(history) == left
    assert sorted(gone + left) == [1, 2, 3, 4]


def test_a_message_is_gone_after_its_hours() -> None:
    history = History()
    history.store(Stored("c", 10, "m"), ttl_hours=2)
    assert history.fetch("c", Slice(), 5, now=9 + 2 * TIMETOKENS_PER_HOUR)
    assert not history.fetch("c", Slice(), 5, now=10 + 2 * TIMETOKENS_PER_HOUR)
    assert history.count("c", 0, now=10 + 2 * TIMETOKENS_PER_HOUR) == 0


@given(st.lists(st.tuples(st.sampled_from("ab"), st.booleans()), max_size=80))
def test_the_bounds_hold_whatever_happens(steps: list[tuple[str, bool]]) -> None:
    """Never more than the limits of a channel and in all, and always the newest."""
    history = History(per_channel=5, in_all=8)
    for now, (channel, delete) in enumerate(steps):
        if delete:
            history.delete(channel, Slice(None, now - 3))
        history.store(Stored(channel, now, "m"))
        assert len(history) <= 8
        assert len(history.fetch(channel, Slice(), 100, now=0)) <= 5
        assert history.fetch(channel, Slice(), 1, now=0)[0].timetoken == now
