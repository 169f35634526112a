"""Streams, leases and values on a real Valkey server and a real Cluster: the properties that the bridge relies on."""

from __future__ import annotations

import asyncio
import signal
import time
from collections.abc import AsyncIterator
from contextlib import suppress

import pytest
import redis.asyncio as redis

from chaos.valkey_cluster import PRIMARIES, Node, ValkeyCluster, running
from graph_service.errors import QueueUnavailable
from graph_service.valkey.client import FIRST, Valkey
from graph_service.valkey.cluster import open_valkey
from tests.conftest import Servers


@pytest.fixture(scope="module")
async def cluster(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[ValkeyCluster]:
    """Three primaries and three replicas."""
    async with running(tmp_path_factory.mktemp("cluster")) as made:
        yield made


@pytest.fixture(params=["one server", "cluster"])
async def valkey(
    request: pytest.FixtureRequest, servers: Servers, cluster: ValkeyCluster
) -> AsyncIterator[Valkey]:
    """Empty, of either kind."""
    if request.param == "cluster":
        await cluster.empty()
        url = cluster.url
    else:
        url = servers.redis_url
        async with redis.Redis.from_url(url) as client:
            await client.flushdb()
    async with open_valkey(url) as opened:
        yield opened


async def test_entries_are_read_in_their_order_from_any_position(valkey: Valkey) -> None:
    """From the first one, and after the last one read."""
    await valkey.append([("fp:{1}:seen", b"a"), ("fp:{1}:seen", b"b"), ("fp:{2}:seen", b"c")])
    found = await valkey.read({"fp:{1}:seen": FIRST, "fp:{2}:seen": FIRST})
    assert [body for _, body in found["fp:{1}:seen"]] == [b"a", b"b"]
    first = found["fp:{1}:seen"][0][0]
    found = await valkey.read({"fp:{1}:seen": first})
    assert [body for _, body in found["fp:{1}:seen"]] == [b"b"]


async def test_a_read_waits_for_the_next_entry(valkey: Valkey) -> None:
    """And returns nothing after its timeout."""
    assert await valkey.read({"fp:{1}:seen": FIRST}, block=20) == {}
    reading = asyncio.create_task(valkey.read({"fp:{1}:seen": FIRST}, block=5000))
    await asyncio.sleep(0.02)
    await valkey.append([("fp:{1}:seen", b"a")])
    assert len((await reading)["fp:{1}:seen"]) == 1


async def test_a_deleted_entry_is_gone_and_its_id_is_still_a_position(valkey: Valkey) -> None:
    """Deleting twice is no error."""
    await valkey.append([("fp:{1}:seen", b"a"), ("fp:{1}:seen", b"b")])
    (first, _), _ = (await valkey.read({"fp:{1}:seen": FIRST}))["fp:{1}:seen"]
    for _ in range(2):
        await valkey.delete({"fp:{1}:seen": [first]})
    assert await valkey.lengths(["fp:{1}:seen"]) == [1]
    assert [body for _, body in (await valkey.read({"fp:{1}:seen": first}))["fp:{1}:seen"]] == [b"b"]


async def test_an_entry_and_its_cursor_are_stored_together(valkey: Valkey) -> None:
    """Under a key that outlives the entry."""
    await valkey.append([("fp:{1}:seen", b"a")], {"fp:{1}:cursor": b"17"})
    assert await valkey.get("fp:{1}:cursor") == b"17"


async def test_a_lease_has_one_holder_until_it_expires(valkey: Valkey) -> None:
    """Its holder renews it, others wait; released, it is free at once."""
    assert await valkey.lease("l", "a", 60_000)
    assert not await valkey.lease("l", "b", 60_000)
    assert await valkey.lease("l", "a", 30)
    await asyncio.sleep(0.05)
    assert await valkey.lease("l", "b", 60_000)
    await valkey.release("l", "a")
    assert not await valkey.lease("l", "a", 60_000)
    await valkey.release("l", "b")
    assert await valkey.lease("l", "a", 60_000)


async def test_live_bridges_are_those_with_a_recent_heartbeat(valkey: Valkey) -> None:
    """By the server's clock, so the bridges' clocks may differ."""
    assert await valkey.alive("b", "one", 60_000) == ["one"]
    assert await valkey.alive("b", "two", 30) == ["one", "two"]
    await asyncio.sleep(0.05)
    assert await valkey.alive("b", "one", 60_000) == ["one"]
    await valkey.leave("b", "one")
    assert await valkey.alive("b", "three", 60_000) == ["three"]


async def test_the_watermark_never_falls(valkey: Valkey) -> None:
    """Microseconds have sixteen digits, more than a number in Lua has exactly."""
    for number in (1_757_969_858_405_123, 999, 1_757_969_858_405_122, 1_757_969_858_405_124):
        await valkey.raise_to("h", number)
    assert await valkey.get("h") == b"1757969858405124"


async def test_only_the_newest_rows_of_a_list_are_stored(valkey: Valkey) -> None:
    """Newest first."""
    await valkey.remember([("w", str(number).encode()) for number in range(8)], most=3, seconds=60)
    assert await valkey.remembered("w") == [b"7", b"6", b"5"]
    keys = [f"{{{number}}}:w" for number in range(20)]
    await valkey.remember([(key, word) for word in (b"older", b"newer") for key in keys], most=3, seconds=60)
    assert [await valkey.remembered(key) for key in keys] == [[b"newer", b"older"]] * 20
    await valkey.remember([], most=3, seconds=60)


async def test_a_wake_up_reaches_listeners(valkey: Valkey) -> None:
    """Those that listen at that moment."""
    woken = asyncio.Event()

    async def listen() -> None:
        async for _ in valkey.listen("n"):
            woken.set()

    task = asyncio.create_task(listen())
    async with asyncio.timeout(5):
        while not woken.is_set():
            await valkey.publish_wakeup("n")
            await asyncio.sleep(0.02)
    task.cancel()


@pytest.mark.parametrize("valkey", ["one server"], indirect=True)
async def test_a_full_server_rejects_an_append_with_an_error(servers: Servers, valkey: Valkey) -> None:
    """An append that is not stored is a temporary error with the server's reason."""
    async with redis.Redis.from_url(servers.redis_url) as admin:
        before = (await admin.config_get("maxmemory"))["maxmemory"]
        await admin.config_set("maxmemory", "1")
        try:
            with pytest.raises(QueueUnavailable, match=r"maxmemory|OOM") as caught:
                await valkey.append([("fp:{1}:seen", b"a")])
        finally:
            await admin.config_set("maxmemory", before)
    assert caught.value.temporary
    assert await valkey.lengths(["fp:{1}:seen"]) == [0]


async def test_a_server_that_is_not_there_is_reported_at_once() -> None:
    """Within the connect timeout."""
    began = time.monotonic()
    with pytest.raises(QueueUnavailable):
        async with open_valkey("redis://127.0.0.1:1/0"):
            pass
    assert time.monotonic() - began < 5


KEYS = [f"fp:{{{partition}}}:seen" for partition in range(20)]


@pytest.mark.parametrize("valkey", ["cluster"], indirect=True)
async def test_one_append_and_one_read_reach_all_servers(valkey: Valkey, cluster: ValkeyCluster) -> None:
    """Each partition is on one server, and the partitions are spread over all."""
    await valkey.append([(key, b"a") for key in KEYS])
    found = await valkey.read(dict.fromkeys(KEYS, FIRST))
    assert set(found) == set(KEYS)
    async with redis.RedisCluster.from_url(cluster.url) as client:
        assert len({client.get_node_from_key(key).name for key in KEYS}) == PRIMARIES


@pytest.mark.parametrize("valkey", ["cluster"], indirect=True)
async def test_an_append_that_no_replica_has_is_not_accepted(valkey: Valkey, cluster: ValkeyCluster) -> None:
    """The entry may exist and the append is repeated; it is not accepted, since a fail-over would lose it."""
    _, stopped = await pair(cluster)
    stopped.process.send_signal(signal.SIGSTOP)
    try:
        with pytest.raises(QueueUnavailable, match="no replica"):
            await valkey.append([(KEYS[0], b"a")])
    finally:
        stopped.process.send_signal(signal.SIGCONT)
    await accepted(valkey, KEYS[0], b"b")


@pytest.mark.parametrize("valkey", ["cluster"], indirect=True)
async def test_no_accepted_entry_is_lost_when_a_primary_dies(valkey: Valkey, cluster: ValkeyCluster) -> None:
    """Its replica takes over with all accepted entries; the owner is notified, so that it compares all shards."""

    for number in range(50):
        await valkey.append([(key, str(number).encode()) for key in KEYS])
    dying, replica = await pair(cluster)
    cluster.kill(dying)
    await cluster.promoted(replica)
    with pytest.raises(QueueUnavailable):  # the new primary has no replica yet
        await valkey.append([(KEYS[0], b"too early")])
    cluster.start_again(dying)
    await accepted(valkey, KEYS[0], b"after")
    found = await valkey.read(dict.fromkeys(KEYS, FIRST))
    assert valkey.failed_over.is_set()
    wanted = [str(number).encode() for number in range(50)]
    for key in KEYS:
        assert [body for _, body in found[key] if body.isdigit()] == wanted


@pytest.mark.parametrize("valkey", ["cluster"], indirect=True)
async def test_calls_in_flight_during_a_topology_refresh_fail_as_unavailable_only(
    valkey: Valkey, cluster: ValkeyCluster
) -> None:
    """Their connections are closed; any other error would stop the calling task."""

    async def renew(number: int) -> None:
        for _ in range(20):
            with suppress(QueueUnavailable):
                await valkey.lease(f"fp:{{{number}}}:owner", "me", 9000)

    async def close() -> None:
        while True:  # as redis-py does at every call without a response
            await valkey._client.aclose()
            await asyncio.sleep(0)

    closing = asyncio.create_task(close())
    await asyncio.gather(*(renew(number) for number in range(40)))
    closing.cancel()


async def pair(cluster: ValkeyCluster) -> tuple[Node, Node]:
    """The primary of the first key, and its replica."""
    async with redis.RedisCluster.from_url(cluster.url) as client:
        primary = client.get_node_from_key(KEYS[0])
        found = client.nodes_manager.slots_cache[client.keyslot(KEYS[0])]
    (replica,) = [node for node in found if node.name != primary.name]
    return cluster.node(int(primary.port)), cluster.node(int(replica.port))


async def accepted(valkey: Valkey, key: str, body: bytes) -> None:
    """Append, retried as every caller does."""
    async with asyncio.timeout(30):
        while True:
            try:
                return await valkey.append([(key, body)])
            except QueueUnavailable:
                await asyncio.sleep(0.1)
