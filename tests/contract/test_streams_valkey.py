"""Streams, leases and kept values against a real server: what the bridge relies on."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator

import pytest
import redis.asyncio as redis

from graph_service.errors import QueueUnavailable
from graph_service.valkey import FIRST, Valkey
from tests.conftest import Servers


@pytest.fixture
async def valkey(servers: Servers) -> AsyncIterator[Valkey]:
    """An empty server."""
    async with redis.Redis.from_url(servers.redis_url) as client:
        await client.flushdb()
    async with Valkey.open(servers.redis_url) as opened:
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
    """And returns nothing when its time is over."""
    assert await valkey.read({"fp:{1}:seen": FIRST}, block=20) == {}
    reading = asyncio.create_task(valkey.read({"fp:{1}:seen": FIRST}, block=5000))
    await asyncio.sleep(0.02)
    await valkey.append([("fp:{1}:seen", b"a")])
    assert len((await reading)["fp:{1}:seen"]) == 1


async def test_a_deleted_entry_is_gone_and_its_place_is_still_one(valkey: Valkey) -> None:
    """Deleting twice is no error."""
    await valkey.append([("fp:{1}:seen", b"a"), ("fp:{1}:seen", b"b")])
    (first, _), _ = (await valkey.read({"fp:{1}:seen": FIRST}))["fp:{1}:seen"]
    for _ in range(2):
        await valkey.delete({"fp:{1}:seen": [first]})
    assert await valkey.lengths(["fp:{1}:seen"]) == [1]
    assert [body for _, body in (await valkey.read({"fp:{1}:seen": first}))["fp:{1}:seen"]] == [b"b"]


async def test_an_entry_and_its_cursor_are_set_together(valkey: Valkey) -> None:
    """The mark outlives the entry."""
    await valkey.append([("fp:{1}:seen", b"a")], {"fp:{1}:cursor": b"17"})
    assert await valkey.get("fp:{1}:cursor") == b"17"


async def test_a_lease_has_one_holder_until_it_ends(valkey: Valkey) -> None:
    """Its holder renews it, others wait; given back, it is free at once."""
    assert await valkey.lease("l", "a", 60_000)
    assert not await valkey.lease("l", "b", 60_000)
    assert await valkey.lease("l", "a", 30)
    await asyncio.sleep(0.05)
    assert await valkey.lease("l", "b", 60_000)
    await valkey.release("l", "a")
    assert not await valkey.lease("l", "a", 60_000)
    await valkey.release("l", "b")
    assert await valkey.lease("l", "a", 60_000)


async def test_the_living_are_those_who_said_so_lately(valkey: Valkey) -> None:
    """By the server's clock, so theirs may differ."""
    assert await valkey.alive("b", "one", 60_000) == ["one"]
    assert await valkey.alive("b", "two", 30) == ["one", "two"]
    await asyncio.sleep(0.05)
    assert await valkey.alive("b", "one", 60_000) == ["one"]
    await valkey.leave("b", "one")
    assert await valkey.alive("b", "three", 60_000) == ["three"]


async def test_the_highest_number_stays(valkey: Valkey) -> None:
    """Microseconds have sixteen digits, more than Lua's numbers keep."""
    for number in (1_757_969_858_405_123, 999, 1_757_969_858_405_122, 1_757_969_858_405_124):
        await valkey.raise_to("h", number)
    assert await valkey.get("h") == b"1757969858405124"


async def test_only_the_newest_rows_of_a_list_are_remembered(valkey: Valkey) -> None:
    """The newest first."""
    await valkey.remember([("w", str(number).encode()) for number in range(8)], most=3, seconds=60)
    assert await valkey.remembered("w") == [b"7", b"6", b"5"]


async def test_a_nudge_is_heard(valkey: Valkey) -> None:
    """By whoever listens at that moment."""
    heard = asyncio.Event()

    async def listen() -> None:
        async for _ in valkey.heard("n"):
            heard.set()

    task = asyncio.create_task(listen())
    async with asyncio.timeout(5):
        while not heard.is_set():
            await valkey.nudge("n")
            await asyncio.sleep(0.02)
    task.cancel()


async def test_a_full_server_refuses_loudly(servers: Servers, valkey: Valkey) -> None:
    """An append that is not kept is an error, temporary, with the server's reason."""
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


async def test_a_server_that_is_not_there_is_told_at_once() -> None:
    """Within the connect time-out."""
    began = time.monotonic()
    with pytest.raises(QueueUnavailable):
        async with Valkey.open("redis://127.0.0.1:1/0"):
            pass
    assert time.monotonic() - began < 5
