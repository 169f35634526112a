"""The origin's one clock: Unix seconds, and timetokens that never repeat.

Time can be real, shifted or frozen. A timetoken has 17 digits and counts 100 ns; timetokens are strictly increasing
over the whole origin (recorded).
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

TICKS_PER_SECOND = 10_000_000
"""Timetoken units in a second."""


class Clock:
    """Real time by default; `freeze`, `set` and `advance` make it virtual.

    `source` returns nanoseconds since the Unix epoch and is only replaced by tests.
    """

    def __init__(self, source: Callable[[], int] = time.time_ns) -> None:
        self._source = source
        self._shift = 0
        self._frozen: int | None = None
        self.last = 0
        """The newest timetoken issued."""

    @property
    def frozen(self) -> bool:
        """Whether time stands still until it is moved."""
        return self._frozen is not None

    @property
    def nanoseconds(self) -> int:
        """Nanoseconds since the Unix epoch."""
        return self._source() + self._shift if self._frozen is None else self._frozen

    @property
    def now(self) -> float:
        """Seconds since the Unix epoch."""
        return self.nanoseconds / 1e9

    def timetoken(self) -> int:
        """The next timetoken: the current time, or one more than the last if that is not later."""
        self.last = max(self.last + 1, self.nanoseconds // 100)
        return self.last

    def freeze(self) -> None:
        """Stop time at this moment."""
        self._frozen = self.nanoseconds

    def thaw(self) -> None:
        """Let time continue from where it is."""
        if self._frozen is not None:
            self._shift = self._frozen - self._source()
            self._frozen = None

    def set(self, seconds: float) -> None:
        """Move to `seconds` since the Unix epoch (to the microsecond), backwards too; frozen stays frozen."""
        self._move(round(seconds * 1e6) * 1000 - self.nanoseconds)

    def advance(self, seconds: float) -> None:
        self._move(round(seconds * 1e6) * 1000)

    def _move(self, nanoseconds: int) -> None:
        if self._frozen is None:
            self._shift += nanoseconds
        else:
            self._frozen += nanoseconds

    def saved(self) -> dict[str, Any]:
        """The argument of `restore` that returns to this state."""
        return {"now": self.now, "frozen": self.frozen, "last": self.last}

    def restore(self, saved: dict[str, Any]) -> None:
        """Return to a saved state. Timetokens continue from the higher of the two, so none repeats."""
        self.thaw()
        self.set(saved["now"])
        if saved["frozen"]:
            self.freeze()
        self.last = max(self.last, saved["last"])
