"""Interface of a system under test, and its resource use as the kernel reports it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path

from bench.harness.http_load import cpu_s, memory_kb
from bench.peers.arrivals import Arrivals
from bench.peers.churn import Transition
from bench.peers.views import Views

NOT_IN_TRACE = -1
"""The number of a connect or disconnect that is not in the trace."""


class System(ABC):
    """A running system and its clients."""

    name: str
    debounce_seconds: float = 0.0
    """Seconds that a change must last before friends are notified, by the system's settings."""
    window_seconds: float = 0.0
    """Batch window in seconds."""

    def __init__(self, arrivals: Arrivals) -> None:
        self.arrivals = arrivals
        self.views: Views | None = None
        """While set, messages update the views and arrivals are not counted."""

    @abstractmethod
    async def join(self, user: int, number: int = NOT_IN_TRACE, fresh: bool = True) -> None:
        """Connect a user's client, including the presence and sync requests of its protocol.

        Raises an `OSError` where that fails.
        """

    @abstractmethod
    async def leave(self, user: int, number: int = NOT_IN_TRACE) -> None:
        """Disconnect a client with a leave."""

    @abstractmethod
    def drop(self, users: Iterable[int]) -> None:
        """Close the connections of clients without a leave."""

    @abstractmethod
    def pids(self) -> Mapping[str, int]:
        """Process ids by name."""

    async def still_online(self) -> int:
        """Users that friends still see online. 0 for a system that removes them at the disconnect."""
        return 0

    async def make(self, transition: Transition) -> None:
        """Make one transition of the trace."""
        self.arrivals.begin(transition)
        await (self.join if transition.joins else self.leave)(transition.user, transition.number)

    def cpu_seconds(self) -> dict[str, float]:
        """CPU seconds used so far by each process with its children."""
        return {name: sum(map(cpu_s, family(pid))) for name, pid in self.pids().items()}

    def memory_kib(self) -> dict[str, float]:
        """Resident memory by process."""
        return {name: float(sum(map(memory_kb, family(pid)))) for name, pid in self.pids().items()}


def family(pid: int) -> list[int]:
    """Process ids of a process and its descendants."""
    found = [pid]
    with suppress(OSError):
        for task in Path(f"/proc/{pid}/task").iterdir():
            for child in (task / "children").read_text().split():
                found += family(int(child))
    return found
