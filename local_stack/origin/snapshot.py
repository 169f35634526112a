"""Save the whole state of an origin, and restore it.

Open polls stay open; keys, webhook targets and faults are not part of a snapshot.
"""

from __future__ import annotations

from collections import Counter
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

from local_stack.origin.clock import Clock
from local_stack.origin.envelope import Event
from local_stack.origin.keyset import Keyset

_STATE = ("presence", "objects", "access", "groups", "history", "actions")


@dataclass(frozen=True, slots=True)
class Snapshot:
    """State of every keyset by subscribe key, and the clock's."""

    clock: dict[str, Any]
    keysets: dict[str, _Saved]

    @classmethod
    def of(cls, clock: Clock, keysets: dict[str, Keyset]) -> Snapshot:
        """Take a snapshot; later changes do not affect it."""
        return cls(clock.saved(), {key: _Saved.of(keyset) for key, keyset in keysets.items()})

    def restore(self, clock: Clock, keysets: dict[str, Keyset]) -> None:
        """Restore it. Keysets that were added later are not changed; timetokens never go back."""
        clock.restore(self.clock)
        for key, saved in self.keysets.items():
            if key in keysets:
                saved.restore(keysets[key])


@dataclass(frozen=True, slots=True)
class _Saved:
    settings: dict[str, Any]
    events: list[Event]
    published: Counter[str]
    state: dict[str, Any]

    @classmethod
    def of(cls, keyset: Keyset) -> _Saved:
        state = deepcopy({name: getattr(keyset, name) for name in _STATE})
        return cls(keyset.settings.model_dump(), keyset.channels.events(), keyset.published.copy(), state)

    def restore(self, keyset: Keyset) -> None:
        keyset.configure(self.settings)
        for name, value in deepcopy(self.state).items():
            setattr(keyset, name, value)
        keyset.presence.settings = keyset.settings.presence
        keyset.published = self.published.copy()
        keyset.channels.clear()
        for event in self.events:
            keyset.channels.append(event)
