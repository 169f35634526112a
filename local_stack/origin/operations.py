"""What each operation needs under Access Manager (PubNub docs, "Operations to permissions mapping").

Pure: the table only; grants are evaluated in `access`. Two entries go beyond the documentation: a heartbeat needs what
subscribing needs (it makes its caller an occupant), and a list over all users, channels or groups needs a grant that
names no single one. A right made of two bits is satisfied by either.
"""

from __future__ import annotations

from collections.abc import Iterable

from local_stack.origin.access import Need, Right

_READ, _WRITE, _MANAGE, _DELETE = map(int, (Right.READ, Right.WRITE, Right.MANAGE, Right.DELETE))
_GET, _UPDATE, _JOIN = map(int, (Right.GET, Right.UPDATE, Right.JOIN))

# operation -> right on each channel, on each group, on each uuid
_TABLE: dict[str, tuple[int | None, int | None, int | None]] = {
    "publish": (_WRITE, None, None),
    "signal": (_WRITE, None, None),
    "subscribe": (_READ, _READ, None),
    "heartbeat": (_READ, _READ, None),
    "leave": (None, None, None),
    "leave_checked": (_READ, _READ, None),
    "here_now": (_READ, _READ, None),
    "where_now": (None, None, None),
    "get_state": (_READ, _READ, None),
    "set_state": (_READ, _READ, None),
    "history": (_READ, None, None),
    "message_counts": (_READ, None, None),
    "delete_messages": (_DELETE, None, None),
    "get_actions": (_READ, None, None),
    "add_action": (_WRITE, None, None),
    "remove_action": (_DELETE, None, None),
    "list_group": (None, _READ | _MANAGE, None),
    "change_group": (None, _MANAGE, None),
    "get_user": (None, None, _GET),
    "set_user": (None, None, _UPDATE),
    "delete_user": (None, None, _DELETE),
    "get_channel": (_GET, None, None),
    "set_channel": (_UPDATE, None, None),
    "delete_channel": (_DELETE, None, None),
    "get_memberships": (None, None, _GET),
    "set_memberships": (_JOIN, None, _UPDATE),
    "get_members": (_GET, None, None),
    "set_members": (_MANAGE, None, None),
}
_LISTS = {
    "list_users": Need("cat", "uuid", _GET),
    "list_channels": Need("cat", "chan", _GET),
    "list_groups": Need("grp", "", _MANAGE),
    "here_now_global": Need("chan", "", _READ),
}


def needs(
    operation: str, channels: Iterable[str] = (), groups: Iterable[str] = (), uuids: Iterable[str] = ()
) -> list[Need]:
    """The rights that `operation` on these resources needs. A presence channel counts as a separate channel."""
    if operation in _LISTS:
        return [_LISTS[operation]]
    named = zip(("chan", "grp", "uuid"), (channels, groups, uuids), _TABLE[operation], strict=True)
    return [Need(kind, name, right) for kind, names, right in named if right is not None for name in names]
