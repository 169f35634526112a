"""Channel groups: which channels each group holds.

Pure, with the limits of the real product (PubNub docs, "Stream Controller").
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

MAX_CHANNELS = 2000
_RESERVED = frozenset(",:/\\*")


class GroupError(ValueError):
    """A change of a group is rejected; the text is PubNub's."""


@dataclass(slots=True)
class Groups:
    """The channel groups of one keyset; a group that holds no channel does not exist."""

    _channels: dict[str, dict[str, None]] = field(default_factory=dict)

    def names(self) -> list[str]:
        """All groups, in order of creation."""
        return list(self._channels)

    def channels(self, group: str) -> list[str]:
        """The channels of `group` in the order they were added; none for an unknown group."""
        return list(self._channels.get(group, ()))

    def add(self, group: str, channels: Iterable[str]) -> None:
        """Add `channels` to `group`. Raises `GroupError`."""
        wanted = list(channels)
        if reserved(group) or any(map(reserved, wanted)):
            raise GroupError("Reserved character in input parameters.")
        remaining = {**self._channels.get(group, {}), **dict.fromkeys(wanted)}
        if len(remaining) > MAX_CHANNELS:
            raise GroupError("Maximum channel count exceeded.")
        if remaining:
            self._channels[group] = remaining

    def remove(self, group: str, channels: Iterable[str]) -> None:
        """Remove `channels` from `group`; those that it does not contain are no error."""
        removed = set(channels)
        remaining = {name: None for name in self._channels.get(group, ()) if name not in removed}
        if remaining:
            self._channels[group] = remaining
        else:
            self.delete(group)

    def delete(self, group: str) -> None:
        """Delete `group`; an unknown one is no error."""
        self._channels.pop(group, None)


def reserved(name: str) -> bool:
    """Whether `name` contains a reserved character."""
    return not name or any(c in _RESERVED or c < " " for c in name)
