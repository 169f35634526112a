"""What a system under test is to whoever drives it, and what the kernel says it used. Knows none of them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path

from bench.harness.http_load import cpu_s, memory_kb
from bench.peers.arrivals import Arrivals
from bench.peers.churn import Turn
from bench.peers.views import Views

NOWHERE = -1
"""The number of a coming or going that is no turn of the trace."""


class System(ABC):
    """One system, running, and its people's clients."""

    name: str
    hold_s: float = 0.0
    """Seconds for which a change must last before friends are told, by its own settings."""
    window_s: float = 0.0
    """Seconds in which changes for one person are put together."""

    def __init__(self, arrivals: Arrivals) -> None:
        self.arrivals = arrivals
        self.views: Views | None = None
        """Kept up to date while there is one; then no arrivals are counted."""

    @abstractmethod
    async def come(self, person: int, number: int = NOWHERE, fresh: bool = True) -> None:
        """The person's client connects, tells its presence and has asked for what its protocol makes it ask for.

        Raises an `OSError` where that fails.
        """

    @abstractmethod
    async def go(self, person: int, number: int = NOWHERE) -> None:
        """It says that it leaves, and disconnects."""

    @abstractmethod
    def drop(self, people: Iterable[int]) -> None:
        """Their connections are gone, without a word."""

    @abstractmethod
    def pids(self) -> Mapping[str, int]:
        """Its processes."""

    async def still_online(self) -> int:
        """How many it takes for present by what friends are told; 0 where it takes nobody's word for longer."""
        return 0

    async def turn(self, turn: Turn) -> None:
        """Make one turn of the trace."""
        self.arrivals.begin(turn)
        await (self.come if turn.comes else self.go)(turn.person, turn.number)

    def used(self) -> dict[str, float]:
        """CPU seconds by process so far, its children included."""
        return {name: sum(map(cpu_s, family(pid))) for name, pid in self.pids().items()}

    def memory(self) -> dict[str, float]:
        """Resident KiB by process."""
        return {name: float(sum(map(memory_kb, family(pid)))) for name, pid in self.pids().items()}


def family(pid: int) -> list[int]:
    """A process and its children."""
    found = [pid]
    with suppress(OSError):
        for task in Path(f"/proc/{pid}/task").iterdir():
            for child in (task / "children").read_text().split():
                found += family(int(child))
    return found
