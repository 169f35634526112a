"""The table of rights, pinned row by row to the documentation."""

from __future__ import annotations

import pytest

from local_stack.origin.access import Access, Need, Right
from local_stack.origin.operations import needs
from local_stack.origin.token import Claims, encode

READ, WRITE, MANAGE, DELETE, GET, UPDATE, JOIN = 1, 2, 4, 8, 32, 64, 128
NONE = 0

# operation, bits on a channel, on a group, on a uuid (PubNub docs, "Operations to permissions mapping")
ROWS = [
    ("publish", WRITE, NONE, NONE),
    ("signal", WRITE, NONE, NONE),
    ("subscribe", READ, READ, NONE),
    ("heartbeat", READ, READ, NONE),
    ("leave", NONE, NONE, NONE),
    ("leave_checked", READ, READ, NONE),
    ("here_now", READ, READ, NONE),
    ("where_now", NONE, NONE, NONE),
    ("get_state", READ, READ, NONE),
    ("set_state", READ, READ, NONE),
    ("history", READ, NONE, NONE),
    ("message_counts", READ, NONE, NONE),
    ("delete_messages", DELETE, NONE, NONE),
    ("get_actions", READ, NONE, NONE),
    ("add_action", WRITE, NONE, NONE),
    ("remove_action", DELETE, NONE, NONE),
    ("list_group", NONE, READ | MANAGE, NONE),
    ("change_group", NONE, MANAGE, NONE),
    ("get_user", NONE, NONE, GET),
    ("set_user", NONE, NONE, UPDATE),
    ("delete_user", NONE, NONE, DELETE),
    ("get_channel", GET, NONE, NONE),
    ("set_channel", UPDATE, NONE, NONE),
    ("delete_channel", DELETE, NONE, NONE),
    ("get_memberships", NONE, NONE, GET),
    ("set_memberships", JOIN, NONE, UPDATE),
    ("get_members", GET, NONE, NONE),
    ("set_members", MANAGE, NONE, NONE),
]


@pytest.mark.parametrize(("operation", "channel", "group", "uuid"), ROWS)
def test_an_operation_needs_its_row_and_nothing_more(
    operation: str, channel: int, group: int, uuid: int
) -> None:
    """One need for each kind of resource that has a bit."""
    wanted = [("chan", "c", channel), ("grp", "g", group), ("uuid", "u", uuid)]
    expected = [Need(kind, name, Right(bits)) for kind, name, bits in wanted if bits]
    assert needs(operation, ["c"], ["g"], ["u"]) == expected


@pytest.mark.parametrize(
    ("operation", "need"),
    [
        ("list_users", Need("cat", "uuid", Right.GET)),
        ("list_channels", Need("cat", "chan", Right.GET)),
        ("list_groups", Need("grp", "", Right.MANAGE)),
        ("here_now_global", Need("chan", "", Right.READ)),
    ],
)
def test_a_list_over_everything_needs_a_right_on_everything(operation: str, need: Need) -> None:
    """Not one on a single name: a category, or a pattern that matches any name."""
    assert needs(operation) == [need]


@pytest.mark.parametrize(("bits", "good"), [(READ, True), (MANAGE, True), (WRITE | GET, False)])
def test_a_right_made_of_two_bits_is_satisfied_by_either(bits: int, good: bool) -> None:
    """A group can be listed with the right to read or to manage it."""
    token = encode(Claims(0, 60, {"grp": {"g": bits}}, {}), "sec")
    assert (Access().refused(token, "u", needs("list_group", groups=["g"]), "sec", 1) == []) is good
