"""Valkey or Redis: streams, leases and kept values. The only file that imports redis; knows no message's meaning.

Streams are read without consumer groups: the owner of a key reads from the first entry and deletes what is done.
All keys of one call that must change together carry one hash tag, so the same code runs on a Cluster.
Every failure of the engine is raised as `QueueUnavailable`.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from typing import Any, cast

import redis.asyncio as redis
from redis.exceptions import OutOfMemoryError, ReadOnlyError, RedisError

from graph_service import cancelling, metrics
from graph_service.errors import QueueUnavailable

Entry = tuple[str, bytes]
"""An entry's id and its body."""

_FIELD = b"e"
FIRST = "0"
"""The position before the first entry of any stream."""

_ALIVE = """
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
redis.call('ZADD', KEYS[1], now + ARGV[2], ARGV[1])
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now)
return redis.call('ZRANGE', KEYS[1], 0, -1)
"""
_LEASE = """
local holder = redis.call('GET', KEYS[1])
if holder and holder ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return 1
"""
_RELEASE = """
if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) end
return 0
"""
# Numbers of 16 digits are compared as text: Lua's are floats and would round microseconds.
_RAISE = """
local had = redis.call('GET', KEYS[1])
if not had or #ARGV[1] > #had or (#ARGV[1] == #had and ARGV[1] > had) then redis.call('SET', KEYS[1], ARGV[1]) end
return 1
"""


@contextmanager
def _engine() -> Iterator[None]:
    try:
        with cancelling.heard():
            yield
    except (RedisError, OSError, TimeoutError) as error:
        kind, reason = _why(error)
        metrics.QUEUE_FAILED.labels(kind).inc()
        raise QueueUnavailable(reason=reason) from error


def _why(error: Exception) -> tuple[str, str]:
    """In one word for the count, and in the operator's words: both conditions end without a restart of ours."""
    if isinstance(error, OutOfMemoryError):
        return "full", "it is full: raise its maxmemory, or see which stream does not drain"
    if isinstance(error, ReadOnlyError):
        return "read_only", "it takes no writes: REDIS_URL points at a replica"
    return "away", str(error) or type(error).__name__


class Valkey:
    """One connection pool to one server."""

    def __init__(self, client: redis.Redis) -> None:
        self._client = client

    @classmethod
    @asynccontextmanager
    async def open(cls, url: str) -> AsyncIterator[Valkey]:
        """Connect, and close at the end. Raises `QueueUnavailable` when nothing answers."""
        client = redis.Redis.from_url(url, protocol=2, socket_connect_timeout=2, health_check_interval=15)
        try:
            with _engine():
                await client.ping()
            yield cls(client)
        finally:
            await client.aclose()

    async def append(
        self, entries: Sequence[tuple[str, bytes]], marks: Mapping[str, bytes] | None = None
    ) -> None:
        """Append (key, body) pairs in this order and set `marks`: all of it or nothing."""
        with _engine():
            async with self._client.pipeline(transaction=True) as pipe:
                for key, body in entries:
                    pipe.xadd(key, {_FIELD: body})
                for key, value in (marks or {}).items():
                    pipe.set(key, value)
                await pipe.execute()

    async def read(
        self, positions: Mapping[str, str], count: int = 500, block: int | None = None
    ) -> dict[str, list[Entry]]:
        """The entries after each key's position, at most `count` a key; waits up to `block` milliseconds for any."""
        if not positions:
            return {}
        with _engine():
            found: Any = await self._client.xread(cast(Any, dict(positions)), count=count, block=block)
        return {key.decode(): [(i.decode(), body[_FIELD]) for i, body in rows] for key, rows in found}

    async def delete(self, ids: Mapping[str, Sequence[str]]) -> None:
        """Delete entries by key and id; those already gone are no error."""
        with _engine():
            async with self._client.pipeline(transaction=False) as pipe:
                for key, some in ids.items():
                    if some:
                        pipe.xdel(key, *some)
                await pipe.execute()

    async def lengths(self, keys: Sequence[str]) -> list[int]:
        """The number of entries of each stream."""
        with _engine():
            async with self._client.pipeline(transaction=False) as pipe:
                for key in keys:
                    pipe.xlen(key)
                return list(await pipe.execute())

    async def get(self, key: str) -> bytes | None:
        """A kept value."""
        with _engine():
            return cast("bytes | None", await self._client.get(key))

    async def put(self, key: str, value: bytes, seconds: float | None = None) -> None:
        """Keep a value, for ever or for so many seconds."""
        with _engine():
            await self._client.set(key, value, px=None if seconds is None else max(1, int(seconds * 1000)))

    async def values(self, keys: Sequence[str]) -> list[bytes | None]:
        """Several kept values, in the order of their keys."""
        with _engine():
            async with self._client.pipeline(transaction=False) as pipe:
                for key in keys:
                    pipe.get(key)
                return list(await pipe.execute())

    async def append_capped(self, key: str, body: bytes, most: int) -> None:
        """Append to a stream of which only the newest entries, about `most`, are kept."""
        with _engine():
            await self._client.xadd(key, {_FIELD: body}, maxlen=most, approximate=True)

    async def newest(self, key: str, count: int) -> list[Entry]:
        """The last entries of a stream, the newest first."""
        with _engine():
            found: Any = await self._client.xrevrange(key, count=count)
        return [(entry.decode(), body[_FIELD]) for entry, body in found]

    async def members(self, key: str) -> list[str]:
        """Everybody who said to be `alive` and may still be, in order of name."""
        with _engine():
            found: Any = await self._client.zrange(key, 0, -1)
        return sorted(one.decode() for one in found)

    async def alive(self, key: str, who: str, milliseconds: int) -> list[str]:
        """Say that `who` is alive for so long, by the server's clock; returns all who are, in order of name."""
        with _engine():
            found: Any = await self._client.eval(_ALIVE, 1, key, who, milliseconds)
        return sorted(one.decode() for one in found)

    async def leave(self, key: str, who: str) -> None:
        """Not alive any more."""
        with _engine():
            await self._client.zrem(key, who)

    async def lease(self, key: str, who: str, milliseconds: int) -> bool:
        """Take a lease, or renew it; False where another holds it."""
        with _engine():
            return bool(await self._client.eval(_LEASE, 1, key, who, milliseconds))

    async def release(self, key: str, who: str) -> None:
        """Give a lease back; one that another holds by now is left alone."""
        with _engine():
            await self._client.eval(_RELEASE, 1, key, who)

    async def raise_to(self, key: str, number: int) -> None:
        """Keep the highest number ever given."""
        with _engine():
            await self._client.eval(_RAISE, 1, key, number)

    async def remember(self, rows: Sequence[tuple[str, bytes]], most: int, seconds: int) -> None:
        """Put each row in front of its list, of which the `most` newest are kept for so many seconds."""
        with _engine():
            async with self._client.pipeline(transaction=False) as pipe:
                for key, row in rows:
                    pipe.lpush(key, row)
                    pipe.ltrim(key, 0, most - 1)
                    pipe.expire(key, seconds)
                await pipe.execute()

    async def remembered(self, key: str) -> list[bytes]:
        """The rows of a list, the newest first."""
        with _engine():
            found: Any = await self._client.lrange(key, 0, -1)
        return list(found)

    async def heard(self, channel: str) -> AsyncIterator[None]:
        """Yields at every nudge on a channel."""
        with _engine():
            async with self._client.pubsub(ignore_subscribe_messages=True) as subscription:
                await subscription.subscribe(channel)
                async for _ in subscription.listen():
                    yield None

    async def forget(self, keys: Sequence[str]) -> None:
        """Delete values; those that are gone already are no error."""
        with _engine():
            async with self._client.pipeline(transaction=False) as pipe:
                for key in keys:
                    pipe.delete(key)
                await pipe.execute()

    async def nudge(self, channel: str) -> None:
        """Wake whoever listens on a channel. Nothing is kept: the listener also looks by itself."""
        with _engine():
            await self._client.publish(channel, b"")

    async def facts(self) -> dict[str, str]:
        """What the server says of itself, by INFO's names."""
        with _engine():
            found: Any = await self._client.info()
        return {str(name): str(value) for name, value in found.items()}

    async def time(self) -> float:
        """The server's clock, Unix seconds."""
        with _engine():
            seconds, microseconds = await self._client.time()
        return seconds + microseconds / 1e6

    async def ping(self) -> None:
        """Returns when the engine answers."""
        with _engine():
            await self._client.ping()
