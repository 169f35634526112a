"""Which bridge should own which partition. Pure: rendezvous hashing over the live ones."""

from __future__ import annotations

import hashlib
from collections.abc import Collection


def owner_of(partition: int, bridges: Collection[str]) -> str | None:
    """The bridge that should own a partition; a bridge that comes or goes moves only its own share."""
    return max(bridges, key=lambda name: _weight(partition, name), default=None)


def _weight(partition: int, name: str) -> bytes:
    return hashlib.blake2b(f"{partition}/{name}".encode(), digest_size=8).digest()
