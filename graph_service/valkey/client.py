"""Valkey or Redis: streams, leases and kept values. Knows redis-py; knows no message's meaning.

Streams are read without consumer groups: the owner of a key reads from the first entry and deletes what is done.
All keys of one call that must change together carry one hash tag, so the same code runs on a Cluster.
Every failure of the engine is raised as `QueueUnavailable`.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any, cast

import redis.asyncio as redis
from redis.exceptions import ResponseError

from graph_service.valkey import scripts
from graph_service.valkey.failures import answering

Entry = tuple[str, bytes]
"""An entry's id and its body."""


FIELD = b"e"
MAX_CONNECTIONS = 1000
"""To one server, of one process, at the most: more than calls are under way at once, which the rooms of the API bound. The
library's own 100 are fewer, and a burst failed; its pool that waits instead takes a tenth of a bridge's CPU."""
FIRST = "0"
"""The position before the first entry of any stream."""


class Valkey:
    """One connection pool to one server."""

    clustered = False
    """Whether keys are spread over several servers."""

    def __init__(self, *, client: redis.Redis) -> None:
        self._client = client
        self.on_failover: Callable[[], None] = lambda: None
        """Called when another server has taken over a part of the keys; on one server never."""

    async def append(
        self, entries: Sequence[tuple[str, bytes]], marks: Mapping[str, bytes] | None = None
    ) -> None:
        """Append (key, body) pairs in this order and set `marks`: all of it or nothing."""
        with answering():
            async with self._client.pipeline(transaction=True) as pipe:
                for key, body in entries:
                    pipe.xadd(key, {FIELD: body})
                for key, value in (marks or {}).items():
                    pipe.set(key, value)
                await pipe.execute()

    async def read(
        self, positions: Mapping[str, str], count: int = 500, block: int | None = None
    ) -> dict[str, list[Entry]]:
        """The entries after each key's position, at most `count` a key; waits up to `block` milliseconds for any."""
        if not positions:
            return {}
        with answering():
            found: Any = await self._client.xread(cast(Any, dict(positions)), count=count, block=block)
        return {key.decode(): [(i.decode(), body[FIELD]) for i, body in rows] for key, rows in found}

    async def delete(self, ids: Mapping[str, Sequence[str]]) -> None:
        """Delete entries by key and id; those already gone are no error."""
        with answering():
            async with self._client.pipeline(transaction=False) as pipe:
                for key, some in ids.items():
                    if some:
                        pipe.xdel(key, *some)
                await pipe.execute()

    async def lengths(self, keys: Sequence[str]) -> list[int]:
        """The number of entries of each stream."""
        with answering():
            async with self._client.pipeline(transaction=False) as pipe:
                for key in keys:
                    pipe.xlen(key)
                return list(await pipe.execute())

    async def get(self, key: str) -> bytes | None:
        """A kept value."""
        with answering():
            return cast("bytes | None", await self._client.get(key))

    async def put(self, key: str, value: bytes, seconds: float | None = None) -> None:
        """Keep a value, for ever or for so many seconds."""
        with answering():
            await self._client.set(key, value, px=None if seconds is None else max(1, int(seconds * 1000)))

    async def values(self, keys: Sequence[str]) -> list[bytes | None]:
        """Several kept values, in the order of their keys."""
        with answering():
            async with self._client.pipeline(transaction=False) as pipe:
                for key in keys:
                    pipe.get(key)
                return list(await pipe.execute())

    async def append_capped(self, key: str, body: bytes, most: int) -> None:
        """Append to a stream of which only the newest entries, about `most`, are kept."""
        with answering():
            await self._client.xadd(key, {FIELD: body}, maxlen=most, approximate=True)

    async def newest(self, key: str, count: int) -> list[Entry]:
        """The last entries of a stream, the newest first."""
        with answering():
            found: Any = await self._client.xrevrange(key, count=count)
        return [(entry.decode(), body[FIELD]) for entry, body in found]

    async def members(self, key: str) -> list[str]:
        """Everybody who said to be `alive` and may still be, in order of name."""
        with answering():
            found: Any = await self._client.zrange(key, 0, -1)
        return sorted(one.decode() for one in found)

    async def alive(self, key: str, who: str, milliseconds: int) -> list[str]:
        """Say that `who` is alive for so long, by the server's clock; returns all who are, in order of name."""
        with answering():
            found: Any = await self._client.eval(scripts.ALIVE, 1, key, who, milliseconds)
        return sorted(one.decode() for one in found)

    async def leave(self, key: str, who: str) -> None:
        """Not alive any more."""
        with answering():
            await self._client.zrem(key, who)

    async def lease(self, key: str, who: str, milliseconds: int) -> bool:
        """Take a lease, or renew it; False where another holds it."""
        with answering():
            return bool(await self._client.eval(scripts.LEASE, 1, key, who, milliseconds))

    async def release(self, key: str, who: str) -> None:
        """Give a lease back; one that another holds by now is left alone."""
        with answering():
            await self._client.eval(scripts.RELEASE, 1, key, who)

    async def raise_to(self, key: str, number: int) -> None:
        """Keep the highest number ever given."""
        with answering():
            await self._client.eval(scripts.RAISE, 1, key, number)

    async def remember(self, rows: Sequence[tuple[str, bytes]], most: int, seconds: int) -> None:
        """Put each row in front of its list, of which the `most` newest are kept for so many seconds."""
        with answering():
            await self._client.eval(*scripts.remembering(rows, most, seconds))

    async def remembered(self, key: str) -> list[bytes]:
        """The rows of a list, the newest first."""
        with answering():
            found: Any = await self._client.lrange(key, 0, -1)
        return list(found)

    async def listen(self, channel: str) -> AsyncIterator[None]:
        """Yields at every nudge on a channel."""
        with answering():
            async with self._client.pubsub(ignore_subscribe_messages=True) as subscription:
                await subscription.subscribe(channel)
                async for _ in subscription.listen():
                    yield None

    async def forget(self, keys: Sequence[str]) -> None:
        """Delete values; those that are gone already are no error."""
        with answering():
            async with self._client.pipeline(transaction=False) as pipe:
                for key in keys:
                    pipe.delete(key)
                await pipe.execute()

    async def publish_wakeup(self, channel: str) -> None:
        """Wake whoever listens on a channel. Nothing is kept: the listener also looks by itself."""
        with answering():
            await self._client.publish(channel, b"")

    async def facts(self) -> dict[str, str]:
        """What the server says of itself, by INFO's names, and `appendfsync` where it may be asked."""
        with answering():
            found: Any = dict(cast(Any, await self._client.info()))
            with suppress(ResponseError):  # hosted servers do not let clients read their configuration
                found |= await self._client.config_get("appendfsync")
        return {str(name): str(value) for name, value in found.items()}

    async def time(self) -> float:
        """The server's clock, Unix seconds."""
        with answering():
            seconds, microseconds = await self._client.time()
        return seconds + microseconds / 1e6

    async def ping(self) -> None:
        """Returns when the engine answers."""
        with answering():
            await self._client.ping()
