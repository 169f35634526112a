"""Consistent hashing of users to partitions and presence shards. Pure.

Both are functions of the id alone: the two first 64-bit words of its SHA-256, big endian, through jump hashing
(Lamping and Veach, 2014). PubNub Functions, browsers and Python can all compute them; ``docs/schemas/shard.json``
holds the vectors that every implementation must reproduce.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache, lru_cache

_WORD = (1 << 64) - 1
_FACTOR = 2862933555777941757
_CHANNEL = re.compile(r"presence\.shard-(\d{1,6})(?:\.(\d{1,6}))?")


def jump(key: int, buckets: int) -> int:
    """The bucket, in ``0..buckets-1``, of a 64-bit key; growing the number of buckets moves only 1/n of the keys."""
    bucket, following = -1, 0
    while following < buckets:
        bucket = following
        key = (key * _FACTOR + 1) & _WORD
        following = int((bucket + 1) * ((1 << 31) / ((key >> 33) + 1)))
    return bucket


def _words(user: str) -> tuple[int, int]:
    digest = hashlib.sha256(user.encode()).digest()
    return int.from_bytes(digest[:8], "big"), int.from_bytes(digest[8:16], "big")


@cache
def partition_among(partitions: int) -> Callable[[str], int]:
    """The function from user id to partition, with its results cached.

    Fan-out calls it for every recipient. The cache's key is the id alone, since a key of two takes twice as long.
    """
    return lru_cache(maxsize=1 << 18)(lambda user: jump(_words(user)[0], partitions))


@dataclass(frozen=True, slots=True)
class ShardMap:
    """How users spread over presence channels; every process of a deployment must hold the same one."""

    partitions: int = 20
    """Fixed for the life of a deployment."""
    shards: int = 100
    """A multiple of `partitions`; may grow."""
    levels: int = 1
    """2 writes the same number as ``presence.shard-{partition}.{rest}``."""
    also: ShardMap | None = None
    """While the number changes: the map whose channels are subscribed to as well, and never handed out."""
    partition: Callable[[str], int] = field(init=False, repr=False, compare=False)
    """The partition of a user; independent of the number of shards."""

    def __post_init__(self) -> None:
        if self.shards % self.partitions:
            raise ValueError(f"{self.shards} shards are not a multiple of {self.partitions} partitions")
        if self.also and self.also.partitions != self.partitions:
            raise ValueError("both maps have the same partitions")
        object.__setattr__(self, "partition", partition_among(self.partitions))

    def shard(self, user: str) -> int:
        """The shard of a user; ``shard % partitions`` is the user's partition."""
        first, second = _words(user)
        return jump(first, self.partitions) + self.partitions * jump(second, self.shards // self.partitions)

    @property
    def _maps(self) -> tuple[ShardMap, ...]:
        return (self, self.also) if self.also else (self,)

    @property
    def listened(self) -> int:
        """How many shards are subscribed to."""
        return max(one.shards for one in self._maps)

    def shards_of(self, partition: int) -> range:
        """All shards of a partition that are subscribed to."""
        return range(partition, self.listened, self.partitions)

    def channels(self, shard: int) -> tuple[str, ...]:
        """The channels on which users of a shard may be present: one, or two while the levels change."""
        return tuple(dict.fromkeys(one.channel(shard) for one in self._maps if shard < one.shards))

    def channels_of(self, user: str) -> tuple[str, ...]:
        """The channels on which one user may be present, beginning with the one that is handed out."""
        return tuple(dict.fromkeys(one.channel(one.shard(user)) for one in self._maps))

    def channel(self, shard: int) -> str:
        """The presence channel of a shard, as handed out to clients."""
        if self.levels == 1:
            return f"presence.shard-{shard}"
        return f"presence.shard-{shard % self.partitions}.{shard // self.partitions}"

    def parse(self, channel: str) -> int | None:
        """The shard of a presence channel in either map, or None for any other channel."""
        found = _CHANNEL.fullmatch(channel)
        levels = {one.levels for one in self._maps}
        if found is None or (1 if found[2] is None else 2) not in levels:
            return None
        if found[2] is None:
            return int(found[1])
        return int(found[1]) + self.partitions * int(found[2])
