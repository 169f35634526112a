"""How much memory Neo4j may take on this machine. Pure arithmetic, and one look at the machine."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

MIB = 2**20
CGROUP_LIMIT = Path("/sys/fs/cgroup/memory.max")


@dataclass(frozen=True)
class Memory:
    """What is given to Neo4j, in MiB."""

    heap: int
    page_cache: int


def of_machine() -> int:
    """Bytes of memory: of the machine, or of the container when that is less."""
    total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    try:
        return min(total, int(CGROUP_LIMIT.read_text(encoding="ascii")))
    except (OSError, ValueError):  # no container, or "max"
        return total


def shared_out(total: int, heap: int | None = None, page_cache: int | None = None) -> Memory:
    """An eighth for the heap, a quarter for the page cache, within what is useful; a number given stands.

    The page cache wants to hold the store (34 bytes an edge); the heap only what runs at once. The rest is for
    Valkey, the service, and whatever else runs on the machine.
    """
    return Memory(
        heap or _within(512, total // 8 // MIB, 4096),
        page_cache or _within(128, total // 4 // MIB, 16384),
    )


def _within(least: int, wanted: int, most: int) -> int:
    return max(least, min(wanted, most))
