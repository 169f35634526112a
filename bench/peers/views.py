"""Friend views of all users, and when all of them became right. Pure.

The rules are those of our clients: for each friend the newest change wins, and a sync is the floor for older ones. A
system without syncs and time stamps changes `View.online` directly.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping


class View:
    """The view of one user."""

    def __init__(self) -> None:
        self.online: set[int] = set()
        self._floor = ""
        self._newest: dict[int, str] = {}

    def apply(self, friend: int, online: bool, ts: str) -> None:
        """Apply one change. Time stamps are compared as texts."""
        if ts > max(self._floor, self._newest.get(friend, "")):
            self._newest[friend] = ts
            (self.online.add if online else self.online.discard)(friend)

    def sync(self, friends: Iterable[int], ts: str) -> None:
        """Apply the list of all online friends as of `ts`."""
        if ts >= self._floor:
            self._floor = ts
            newer = {one for one, stamp in self._newest.items() if stamp > ts}
            self.online = (set(friends) - newer) | (self.online & newer)


class Views:
    """All views, compared with the right ones."""

    def __init__(self, right: Mapping[int, set[int]]) -> None:
        self._right = right
        self._views = {one: View() for one in right}
        self._right_since: dict[int, float] = {}

    def view_of(self, user: int) -> View | None:
        """The view to change, followed by `judge`. None for a user whose view is not checked."""
        return self._views.get(user)

    def judge(self, user: int, at: float) -> None:
        """Compare a view with the right one, as of `at`."""
        if self._views[user].online == self._right[user]:
            self._right_since.setdefault(user, at)
        else:
            self._right_since.pop(user, None)

    @property
    def wrong(self) -> int:
        """Number of views that are not right."""
        return len(self._right) - len(self._right_since)

    @property
    def all_right_at(self) -> float:
        """When the last of the right views became right."""
        return max(self._right_since.values(), default=0.0)
