"""How much memory Neo4j may take on this machine: `of_machine` reads the limit, the rest is pure arithmetic."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

MIB = 2**20
CGROUP_LIMIT = Path("/sys/fs/cgroup/memory.max")


@dataclass(frozen=True)
class Memory:
    """Neo4j's memory, in MiB."""

    heap: int
    page_cache: int


def of_machine() -> int:
    """Bytes of memory of the machine, or of the container where that is less."""
    total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    try:
        return min(total, int(CGROUP_LIMIT.read_text(encoding="ascii")))
    except (OSError, ValueError):  # no container limit, or "max"
        return total


def shared_out(total: int, heap: int | None = None, page_cache: int | None = None) -> Memory:
    """An eighth of `total` bytes for the heap, a quarter for the page cache, within useful bounds; arguments (MiB) win.

    The page cache should hold the store (34 bytes an edge); the heap only holds what runs at once. The rest is for
    Valkey, the service, and everything else on the machine.
    """
    return Memory(
        heap or _within(512, total // 8 // MIB, 4096),
        page_cache or _within(128, total // 4 // MIB, 16384),
    )


def _within(least: int, wanted: int, most: int) -> int:
    return max(least, min(wanted, most))
