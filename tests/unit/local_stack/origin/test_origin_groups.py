"""Channel groups."""

from __future__ import annotations

import pytest

from local_stack.origin.groups import MAX_CHANNELS, GroupError, Groups


def test_a_group_holds_each_channel_once_in_the_order_added() -> None:
    groups = Groups()
    groups.add("g", ["b", "a"])
    groups.add("g", ["a", "c"])
    assert groups.channels("g") == ["b", "a", "c"]
    assert groups.names() == ["g"]


def test_a_group_without_channels_does_not_exist() -> None:
    """Removed one by one, or deleted; both are no error for the unknown."""
    groups = Groups()
    groups.add("g", ["a"])
    groups.remove("g", ["x"])
    groups.remove("g", ["a"])
    assert groups.names() == []
    groups.remove("g", ["a"])
    groups.delete("g")
    groups.add("h", [])
    assert (groups.names(), groups.channels("g")) == ([], [])


@pytest.mark.parametrize(
    ("group", "channel"), [("a:b", "c"), ("g", "a/b"), ("g", ""), ("g", "a*"), ("", "c")]
)
def test_reserved_characters_are_refused(group: str, channel: str) -> None:
    """In the group's name as in a channel's."""
    with pytest.raises(GroupError, match=r"^Reserved character in input parameters\.$"):
        Groups().add(group, [channel])


def test_a_group_that_is_full_takes_no_more() -> None:
    groups = Groups()
    groups.add("g", [str(n) for n in range(MAX_CHANNELS)])
    with pytest.raises(GroupError):
        groups.add("g", ["one more"])
    assert len(groups.channels("g")) == MAX_CHANNELS
