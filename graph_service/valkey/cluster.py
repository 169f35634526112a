"""Valkey or Redis Cluster behind the interface of `Valkey`, and opening either of the two.

Which of the two an address is, the server reports (INFO cluster).
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
"""For an append to reach a replica; after it the append has failed, and is retried."""
POLL_SECONDS = 0.01
"""Between two polls of a waiting read: no single server could block on all keys."""
CONNECT_TIMEOUT_SECONDS = 2
SOCKET_TIMEOUT_SECONDS = 5
HEALTH_CHECK_INTERVAL_SECONDS = 15


@asynccontextmanager
async def open_valkey(url: str) -> AsyncIterator[Valkey]:
    """Connect, and close at the end. Raises `QueueUnavailable` when no server responds."""
    client = redis.Redis.from_url(
        url,
        protocol=2,
        max_connections=MAX_CONNECTIONS,
        socket_connect_timeout=CONNECT_TIMEOUT_SECONDS,
        health_check_interval=HEALTH_CHECK_INTERVAL_SECONDS,
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
    """A Cluster. Keys that must change atomically have one hash tag, so they are on one server.

    An append succeeds once a replica has it, or a fail-over would lose it: a primary without a replica accepts none.
    Appends for several hash tags are independent: after an error some may be stored, and are repeated. A read of many
    keys is one command for each server.
    """

    clustered = True

    def __init__(self, *, client: RedisCluster, options: Mapping[str, Any]) -> None:
        super().__init__(client=cast(redis.Redis, client))
        self._cluster = client
        self._options = dict(options)
        self._servers: dict[tuple[str, int], redis.Redis] = {}
        self._primaries = self._current_primaries()

    @classmethod
    @asynccontextmanager
    async def joined(cls, url: str) -> AsyncIterator[Cluster]:
        """Discover the servers from the one at `url`, and close all connections at the end."""
        options: dict[str, Any] = dict(parse_url(url))
        options.pop("db", None)
        client = RedisCluster(**options, protocol=2, socket_connect_timeout=CONNECT_TIMEOUT_SECONDS)
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
        self, entries: Sequence[tuple[str, bytes]], values: Mapping[str, bytes] | None = None
    ) -> None:
        """Atomic for each hash tag only."""
        groups: dict[int, tuple[list[tuple[str, bytes]], dict[str, bytes]]] = {}
        for key, body in entries:
            groups.setdefault(self._cluster.keyslot(key), ([], {}))[0].append((key, body))
        for key, value in (values or {}).items():
            groups.setdefault(self._cluster.keyslot(key), ([], {}))[1][key] = value
        async with self._refreshing_topology():
            await asyncio.gather(*(self._append(*group) for group in groups.values()))

    async def read(
        self, positions: Mapping[str, str], count: int = 500, block: int | None = None
    ) -> dict[str, list[Entry]]:
        end = asyncio.get_running_loop().time() + (block or 0) / 1000
        while True:
            async with self._refreshing_topology():
                found = await self._read(positions, count)
            self._detect_failover()
            rest = end - asyncio.get_running_loop().time()
            if found or rest <= 0 or not positions:
                return found
            await asyncio.sleep(min(POLL_SECONDS, rest))

    async def remember(self, rows: Sequence[tuple[str, bytes]], most: int, seconds: int) -> None:
        groups: dict[int, list[tuple[str, bytes]]] = {}
        for row in rows:
            groups.setdefault(self._cluster.keyslot(row[0]), []).append(row)
        calls = {some[0][0]: scripts.remember(some, most, seconds) for some in groups.values()}
        async with self._refreshing_topology():
            await asyncio.gather(*(self._of(key).eval(*call) for key, call in calls.items()))

    async def listen(self, channel: str) -> AsyncIterator[None]:
        """From any server: a Cluster forwards published messages to all."""
        with answering():
            server = self._server(self._cluster.get_random_node())
            async with server.pubsub(ignore_subscribe_messages=True) as subscription:
                await subscription.subscribe(channel)
                async for _ in subscription.listen():
                    yield None

    async def _append(self, entries: Sequence[tuple[str, bytes]], values: Mapping[str, bytes]) -> None:
        key = entries[0][0] if entries else next(iter(values))
        # One pipeline on one connection, since WAIT covers only what its connection has written.
        async with self._of(key).pipeline(transaction=False) as pipe:
            pipe.execute_command("MULTI")
            for name, body in entries:
                pipe.xadd(name, {FIELD: body})
            for name, value in values.items():
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
        for key, position in positions.items():
            slots = groups.setdefault(self._of(key), {})
            slots.setdefault(self._cluster.keyslot(key), {})[key] = position
        results = await asyncio.gather(
            *(_read_all(server, list(slots.values()), count) for server, slots in groups.items())
        )
        return {key: entries for result in results for key, entries in result.items()}

    def _of(self, key: str) -> redis.Redis:
        node = self._cluster.get_node_from_key(key)
        if node is None:
            raise RedisError(f"no server has the slot of {key}")
        return self._server(node)

    def _server(self, node: Any) -> redis.Redis:
        address = (node.host, int(node.port))
        if address not in self._servers:
            self._servers[address] = redis.Redis(
                host=address[0],
                port=address[1],
                protocol=2,
                max_connections=MAX_CONNECTIONS,
                socket_connect_timeout=CONNECT_TIMEOUT_SECONDS,
                socket_timeout=SOCKET_TIMEOUT_SECONDS,
                **self._options,
            )
        return self._servers[address]

    @asynccontextmanager
    async def _refreshing_topology(self) -> AsyncIterator[None]:
        """Any failure may mean that the topology changed: refresh it before the next attempt."""
        with answering():
            try:
                yield
            except AWAY:
                with suppress(*AWAY):
                    await self._cluster.nodes_manager.initialize()
                raise

    def _detect_failover(self) -> None:
        now = self._current_primaries()
        if now != self._primaries:
            self._primaries = now
            self.failed_over.set()

    def _current_primaries(self) -> frozenset[str]:
        return frozenset(node.name for node in self._cluster.get_primaries())


async def _read_all(
    server: redis.Redis, groups: Sequence[Mapping[str, str]], count: int
) -> dict[str, list[Entry]]:
    async with server.pipeline(transaction=False) as pipe:
        for positions in groups:
            pipe.xread(cast(Any, dict(positions)), count=count)
        results: Any = await pipe.execute()
    return {
        key.decode(): [(i.decode(), body[FIELD]) for i, body in rows]
        for found in results
        for key, rows in found or ()
    }


async def _is_cluster(client: redis.Redis) -> bool:
    with suppress(ResponseError):  # a server that does not report it is a single one
        return int((await client.info("cluster")).get("cluster_enabled", 0)) == 1
    return False
