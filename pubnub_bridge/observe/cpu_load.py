"""CPU load: the share of a core that this process used lately. Pure; clock and CPU time are arguments, in seconds."""

from __future__ import annotations

from dataclasses import dataclass

SPAN_SECONDS = 1.0
"""Over which the share is measured."""
BUSY_SHARE = 0.5
"""Of a core, from which on whatever can wait does: notifications have the rest for their bursts."""


@dataclass
class CpuLoad:
    """The share of the last whole span."""

    _at: float = 0.0
    _used: float = 0.0
    _share: float = 0.0

    def share(self, now: float, used: float) -> float:
        """The share of a core; `now` is the time, `used` the CPU time of this process so far."""
        if now - self._at >= SPAN_SECONDS:
            self._share = (used - self._used) / (now - self._at)
            self._at, self._used = now, used
        return self._share
