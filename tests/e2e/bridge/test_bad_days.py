"""Failures of databases and PubNub: each is counted and reported clearly, and no event is lost."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
import redis.asyncio as redis

from graph_service import metrics as graph_metrics
from graph_service.graph.driver import Graph
from local_stack.origin.app import Running
from local_stack.origin.faults import Fault
from pubnub_bridge import metrics
from pubnub_bridge.settings import Settings
from pubnub_bridge.store.watermark import ClockBehind, Watermark
from tests.conftest import Servers
from tests.e2e.bridge.conftest import World, empty_valkey, eventually, options, until
from tests.e2e.bridge.test_owners import owner

WEBHOOK = {"X-Webhook-Secret": "w" * 32}


@asynccontextmanager
async def full(client: redis.Redis) -> AsyncIterator[None]:
    """A server without free memory that evicts nothing."""
    await client.config_set("maxmemory-policy", "noeviction")
    await client.config_set("maxmemory", "1")
    try:
        yield
    finally:
        await client.config_set("maxmemory", "0")


@asynccontextmanager
async def read_only(client: redis.Redis) -> AsyncIterator[None]:
    """A server that is a replica of one that does not exist."""
    await client.execute_command("REPLICAOF", "127.0.0.1", "1")
    try:
        yield
    finally:
        await client.execute_command("REPLICAOF", "NO", "ONE")


def failures(kind: str) -> float:
    """Commands that Valkey refused for this reason."""
    return float(graph_metrics.QUEUE_FAILED.labels(kind)._value.get())


async def test_a_queue_that_accepts_nothing_loses_nothing(world: World) -> None:
    """Full, then read only: the webhook gets 503, and presence of that time is announced afterwards."""
    await world.create_friends("ann", "bob")
    (ann,), bob = await world.online("ann"), world.device("bob")
    act = {"full": (full, bob.appear), "read_only": (read_only, bob.leave)}
    body = {"schema": "presence.user.channel.left", "data": [{"channel": bob.channel, "userId": "bob"}]}
    async with redis.Redis.from_url(world.settings.redis_url.get_secret_value()) as client:
        for kind, (condition, change) in act.items():
            before = failures(kind)
            async with condition(client):
                left = change()
                if left is not None:
                    await left
                status, problem = await world.call("POST", "/webhooks/presence", json=body, headers=WEBHOOK)
                assert (status, problem["code"]) == (503, "queue_unavailable")
                assert ("full" if kind == "full" else "no writes") in problem["detail"]
                await until(lambda kind=kind, before=before: failures(kind) >= before + 3)  # type: ignore[misc]
            wanted = "friend.online" if kind == "full" else "friend.offline"
            event = await ann.receives(lambda m, wanted=wanted: m["type"] == wanted, seconds=30)  # type: ignore[misc]
            assert event["payload"]["userId"] == "bob"


async def test_a_denied_shard_is_counted_and_caught_up_with(world: World) -> None:
    """403 for the shards of Bob's partition: what happened in between is announced once access is allowed again."""
    await world.create_friends("ann", "bob")
    (ann,), bob = await world.online("ann"), world.device("bob")
    partition = world.shards.partition("bob")
    prefix = f"/v2/subscribe/demo/presence.shard-{partition}-pnpres"
    before = metrics.DENIED.labels("subscribe")._value.get()
    world.origin.origin.keysets["demo"].faults.rules.append(
        Fault(kind="status", prefix=prefix, status=403, times=4)
    )
    bob.appear()
    await ann.receives(lambda m: m["type"] == "friend.online")
    await bob.leave()
    event = await ann.receives(lambda m: m["type"] == "friend.offline", seconds=30)
    assert event["payload"]["userId"] == "bob"
    assert metrics.DENIED.labels("subscribe")._value.get() == before + 4


async def test_a_server_token_that_becomes_invalid_is_replaced(
    graph: Graph, servers: Servers, strict_origin: Running
) -> None:
    """Polls and publishes are denied and counted, and go on with a new token."""
    await empty_valkey(servers.redis_url)
    settings = Settings(**(options(servers, strict_origin) | {"access_manager": True}))  # type: ignore[arg-type]
    async with owner(settings) as (bridge, _):
        context = bridge.context
        world = World(graph, strict_origin, settings, "", context)
        await world.create_friends("ann", "bob")
        devices = [world.device(user) for user in ("ann", "bob")]
        for device in devices:
            token = await context.tokens.client_token(device.user, context.shards)
            assert token is not None
            device.client.set_token(token.token)
        ann, bob = devices
        ann.appear()

        async def settled() -> bool:
            return (await context.flags.presence(["ann"]))[0].online

        await eventually(settled)
        before = {call: metrics.DENIED.labels(call)._value.get() for call in ("subscribe", "publish")}
        context.tokens._server_token = "worth nothing"
        bob.appear()
        await ann.receives(lambda m: m["type"] == "friend.online", seconds=30)
        after = {call: metrics.DENIED.labels(call)._value.get() for call in before}
        assert sum(after.values()) > sum(before.values())
        assert context.tokens.server_token() not in {None, "worth nothing"}
        for device in devices:
            await device.client.stop()


async def test_a_graph_whose_clock_is_behind_is_waited_for(quiet: World) -> None:
    """As after a move to another server: no state is published with an older `ts` than an earlier one."""
    await quiet.create_friends("ann")
    flags, watermark = quiet.context.flags, Watermark(valkey=quiet.context.backends.valkey)
    watermark.highest = await flags.clock() + 1_000_000
    before = metrics.CLOCK_BEHIND._value.get()
    with pytest.raises(ClockBehind, match="behind the newest message"):
        await watermark.read(lambda: flags.read_snapshots(["ann"]))
    assert metrics.CLOCK_BEHIND._value.get() == before + 1

    async def passed() -> bool:
        try:
            return bool(await watermark.read(lambda: flags.read_snapshots(["ann"])))
        except ClockBehind:
            return False

    await eventually(passed)
