"""The same on a Valkey or Redis Cluster, and which of the two an address is. Knows redis-py; knows no message's meaning.

A Cluster is recognised by what the server says.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Any, cast

import redis.asyncio as redis
from redis.asyncio.cluster import RedisCluster
from redis.asyncio.connection import parse_url
from redis.exceptions import RedisError, ResponseError

from graph_service.valkey import scripts
from graph_service.valkey.client import FIELD, MAX_CONNECTIONS, Entry, Valkey
from graph_service.valkey.failures import AWAY, answering

REPLICATION_TIMEOUT_MILLISECONDS = 1000
"""Milliseconds that an append to a Cluster may take to reach a replica; after them it has failed, and is repeated."""
POLL_SECONDS = 0.01
"""Seconds between two looks of a waiting read on a Cluster, where no server could wait for all keys."""


@asynccontextmanager
async def open_valkey(url: str) -> AsyncIterator[Valkey]:
    """Connect, and close at the end. Raises `QueueUnavailable` when nothing answers."""
    client = redis.Redis.from_url(
        url,
        protocol=2,
        max_connections=MAX_CONNECTIONS,
        socket_connect_timeout=2,
        health_check_interval=15,
    )
    try:
        with answering():
            await client.ping()
            is_cluster = await _is_cluster(client)
        if is_cluster:
            async with Cluster.joined(url) as cluster:
                yield cluster
        else:
            yield Valkey(client=client)
    finally:
        await client.aclose()


class Cluster(Valkey):
    """The same on a Cluster: what must change together has one hash tag, so it is one server's.

    An append counts once a replica has it too, or a fail-over would lose it: a part whose only replica is gone takes
    none until there is another. Appends for several tags are done each by itself: after an error some may stand, and
    are repeated. A read of many keys is one a server.
    """

    clustered = True

    def __init__(self, *, client: RedisCluster, options: Mapping[str, Any]) -> None:
        super().__init__(client=cast(redis.Redis, client))
        self._cluster = client
        self._options = dict(options)
        self._servers: dict[tuple[str, int], redis.Redis] = {}
        self._primaries = self._now_primaries()

    @classmethod
    @asynccontextmanager
    async def joined(cls, url: str) -> AsyncIterator[Cluster]:
        """Learn the servers from the one at `url`, and close all connections at the end."""
        options: dict[str, Any] = dict(parse_url(url))
        options.pop("db", None)
        client = RedisCluster(**options, protocol=2, socket_connect_timeout=2)
        try:
            with answering():
                await client.initialize()
            opened = cls(
                client=client, options={k: v for k, v in options.items() if k not in {"host", "port"}}
            )
            yield opened
            for server in opened._servers.values():
                await server.aclose()
        finally:
            await client.aclose()

    async def append(
        self, entries: Sequence[tuple[str, bytes]], marks: Mapping[str, bytes] | None = None
    ) -> None:
        """As on one server, but all or nothing for each hash tag only."""
        groups: dict[int, tuple[list[tuple[str, bytes]], dict[str, bytes]]] = {}
        for key, body in entries:
            groups.setdefault(self._cluster.keyslot(key), ([], {}))[0].append((key, body))
        for key, value in (marks or {}).items():
            groups.setdefault(self._cluster.keyslot(key), ([], {}))[1][key] = value
        async with self._learning():
            await asyncio.gather(*(self._append(*group) for group in groups.values()))

    async def read(
        self, positions: Mapping[str, str], count: int = 500, block: int | None = None
    ) -> dict[str, list[Entry]]:
        """As on one server."""
        end = asyncio.get_running_loop().time() + (block or 0) / 1000
        while True:
            async with self._learning():
                found = await self._read(positions, count)
            self._look()
            rest = end - asyncio.get_running_loop().time()
            if found or rest <= 0 or not positions:
                return found
            await asyncio.sleep(min(POLL_SECONDS, rest))

    async def remember(self, rows: Sequence[tuple[str, bytes]], most: int, seconds: int) -> None:
        """As on one server."""
        groups: dict[int, list[tuple[str, bytes]]] = {}
        for row in rows:
            groups.setdefault(self._cluster.keyslot(row[0]), []).append(row)
        calls = {some[0][0]: scripts.remembering(some, most, seconds) for some in groups.values()}
        async with self._learning():
            await asyncio.gather(*(self._of(key).eval(*call) for key, call in calls.items()))

    async def listen(self, channel: str) -> AsyncIterator[None]:
        """As on one server: a Cluster passes nudges on to all of its servers."""
        with answering():
            server = self._server(self._cluster.get_random_node())
            async with server.pubsub(ignore_subscribe_messages=True) as subscription:
                await subscription.subscribe(channel)
                async for _ in subscription.listen():
                    yield None

    async def _append(self, entries: Sequence[tuple[str, bytes]], marks: Mapping[str, bytes]) -> None:
        key = entries[0][0] if entries else next(iter(marks))
        # One pipeline for all, since WAIT speaks of what its own connection has written.
        async with self._of(key).pipeline(transaction=False) as pipe:
            pipe.execute_command("MULTI")
            for name, body in entries:
                pipe.xadd(name, {FIELD: body})
            for name, value in marks.items():
                pipe.execute_command("SET", name, value)
            pipe.execute_command("EXEC")
            pipe.execute_command("WAIT", 1, REPLICATION_TIMEOUT_MILLISECONDS)
            *_, done, replicas = await pipe.execute()
        if failed := [one for one in done if isinstance(one, Exception)]:
            raise failed[0]
        if not replicas:
            raise RedisError(f"no replica has it within {REPLICATION_TIMEOUT_MILLISECONDS} ms")

    async def _read(self, positions: Mapping[str, str], count: int) -> dict[str, list[Entry]]:
        groups: dict[redis.Redis, dict[int, dict[str, str]]] = {}
        for key, place in positions.items():
            slots = groups.setdefault(self._of(key), {})
            slots.setdefault(self._cluster.keyslot(key), {})[key] = place
        answers = await asyncio.gather(
            *(_read_all(server, list(slots.values()), count) for server, slots in groups.items())
        )
        return {key: entries for answer in answers for key, entries in answer.items()}

    def _of(self, key: str) -> redis.Redis:
        node = self._cluster.get_node_from_key(key)
        if node is None:
            raise RedisError(f"no server has the slot of {key}")
        return self._server(node)

    def _server(self, node: Any) -> redis.Redis:
        place = (node.host, int(node.port))
        if place not in self._servers:
            self._servers[place] = redis.Redis(
                host=place[0],
                port=place[1],
                protocol=2,
                max_connections=MAX_CONNECTIONS,
                socket_connect_timeout=2,
                socket_timeout=5,
                **self._options,
            )
        return self._servers[place]

    @asynccontextmanager
    async def _learning(self) -> AsyncIterator[None]:
        """Any failure may mean that the servers have changed: they are asked who has what before the next try."""
        with answering():
            try:
                yield
            except AWAY:
                with suppress(*AWAY):
                    await self._cluster.nodes_manager.initialize()
                raise

    def _look(self) -> None:
        now = self._now_primaries()
        if now != self._primaries:
            self._primaries = now
            self.on_failover()

    def _now_primaries(self) -> frozenset[str]:
        return frozenset(node.name for node in self._cluster.get_primaries())


async def _read_all(
    server: redis.Redis, groups: Sequence[Mapping[str, str]], count: int
) -> dict[str, list[Entry]]:
    async with server.pipeline(transaction=False) as pipe:
        for positions in groups:
            pipe.xread(cast(Any, dict(positions)), count=count)
        answers: Any = await pipe.execute()
    return {
        key.decode(): [(i.decode(), body[FIELD]) for i, body in rows]
        for found in answers
        for key, rows in found or ()
    }


async def _is_cluster(client: redis.Redis) -> bool:
    with suppress(ResponseError):  # a server that does not say is taken for a single one
        return int((await client.info("cluster")).get("cluster_enabled", 0)) == 1
    return False
