"""A circuit that opens on a dead origin and is closed by a probe. Pure; `now` is any clock in seconds."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(slots=True)
class CircuitBreaker:
    """Closed: calls go out. Open: none do, until a probe is allowed; its success closes the circuit."""

    threshold: int = 20
    """Failures in a row that open it."""
    pause: float = 1.0
    """Seconds before the first probe; doubled after each that fails."""
    longest: float = 15.0
    failures: int = 0
    probe_at: float | None = None
    """When the next probe is allowed; None while closed."""
    _pause: float = 0.0
    _probing: bool = False

    @property
    def is_open(self) -> bool:
        """Whether calls must wait."""
        return self.probe_at is not None

    def succeeded(self) -> bool:
        """A call was answered; True where that closed the circuit."""
        was_open = self.is_open
        self.failures, self.probe_at, self._pause, self._probing = 0, None, 0.0, False
        return was_open

    def failed(self, now: float) -> bool:
        """A call was not answered, or with a server's error; True where that opened the circuit."""
        self.failures += 1
        if self.failures < self.threshold and not self.is_open:
            return False
        opened = not self.is_open
        if opened or self._probing:
            self._probing = False
            self._pause = min(self.longest, self._pause * 2 or self.pause)
            self.probe_at = now + self._pause
        return opened

    def may_probe(self, now: float) -> bool:
        """Whether one call may go out to try; it then counts as the probe, and others keep waiting."""
        if self.probe_at is None or now < self.probe_at:
            return False
        self.probe_at, self._probing = now + self.longest, True
        return True
