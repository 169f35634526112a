"""What each person is shown of their friends, and when all of it was right. Pure; knows no wire.

The rule is that of every client of ours: per friend the newest wins, and a sync is the floor for what is older. A
system that sends no syncs and no stamps counts its messages instead.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping


class View:
    """One person's."""

    def __init__(self) -> None:
        self.online: set[int] = set()
        self._floor = ""
        self._newest: dict[int, str] = {}

    def tell(self, friend: int, online: bool, ts: str) -> None:
        """One change; stamps sort as texts."""
        if ts > max(self._floor, self._newest.get(friend, "")):
            self._newest[friend] = ts
            (self.online.add if online else self.online.discard)(friend)

    def sync(self, friends: Iterable[int], ts: str) -> None:
        """All who are online as of `ts`."""
        if ts >= self._floor:
            self._floor = ts
            newer = {one for one, stamp in self._newest.items() if stamp > ts}
            self.online = (set(friends) - newer) | (self.online & newer)


class Views:
    """Everybody's, against what would be right."""

    def __init__(self, right: Mapping[int, set[int]]) -> None:
        self._right = right
        self._views = {one: View() for one in right}
        self._since: dict[int, float] = {}

    def look(self, person: int) -> View | None:
        """Where to tell what this person heard; `judge` afterwards. None for somebody who is not watched."""
        return self._views.get(person)

    def judge(self, person: int, at: float) -> None:
        """Whether this view is right as of now."""
        if self._views[person].online == self._right[person]:
            self._since.setdefault(person, at)
        else:
            self._since.pop(person, None)

    @property
    def wrong(self) -> int:
        """How many views are not right."""
        return len(self._right) - len(self._since)

    @property
    def all_right_at(self) -> float:
        """When the last of those that are right became so."""
        return max(self._since.values(), default=0.0)
