"""Circuit breaker: opens on an origin that does not answer, closes when a probe succeeds. Pure; `now` in seconds."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(slots=True)
class CircuitBreaker:
    """Closed: calls go out. Open: none do but one probe at a time, after growing intervals."""

    threshold: int = 20
    """Failures in a row that open it."""
    min_seconds: float = 1.0
    """Before the first probe; doubled after each that fails."""
    max_seconds: float = 15.0
    failures: int = 0
    probe_at: float | None = None
    """When the next probe is allowed; None while closed."""
    _seconds: float = 0.0
    _probing: bool = False

    @property
    def is_open(self) -> bool:
        """Whether calls must wait."""
        return self.probe_at is not None

    def succeeded(self) -> bool:
        """A call was answered; True where that closed the circuit."""
        was_open = self.is_open
        self.failures, self.probe_at, self._seconds, self._probing = 0, None, 0.0, False
        return was_open

    def failed(self, now: float) -> bool:
        """A call was not answered, or with a server's error; True where that opened the circuit."""
        self.failures += 1
        if self.failures < self.threshold and not self.is_open:
            return False
        opened = not self.is_open
        if opened or self._probing:
            self._probing = False
            self._seconds = min(self.max_seconds, self._seconds * 2 or self.min_seconds)
            self.probe_at = now + self._seconds
        return opened

    def may_probe(self, now: float) -> bool:
        """Whether one call may go out to try; it then counts as the probe, and others keep waiting."""
        if self.probe_at is None or now < self.probe_at:
            return False
        # A probe that never comes back must not block the next one.
        self.probe_at, self._probing = now + self.max_seconds, True
        return True
