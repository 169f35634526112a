"""How busy this process is: the share of a core that it used lately. Pure; clock and CPU time are given. Seconds."""

from __future__ import annotations

from dataclasses import dataclass

SPAN_SECONDS = 1.0
"""Seconds over which the share is taken."""
BUSY_SHARE = 0.5
"""The share of a core from which on what can wait does: news has the rest for its bursts."""


@dataclass
class CpuLoad:
    """Looks at two clocks; the share is that of the last whole span."""

    _at: float = 0.0
    _used: float = 0.0
    _share: float = 0.0

    def share(self, now: float, used: float) -> float:
        """The share of a core, given the time and the CPU time used by this process so far."""
        if now - self._at >= SPAN_SECONDS:
            self._share = (used - self._used) / (now - self._at)
            self._at, self._used = now, used
        return self._share
