"""Access to the webhook: two secrets while one changes, closed without one, and a body is accepted whole or not at all."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any

from graph_service.graph.driver import Graph
from local_stack.origin.app import Running
from pubnub_bridge.runtime.context import BridgeContext
from pubnub_bridge.settings import Settings
from pubnub_bridge.store import keys
from tests.conftest import Servers
from tests.e2e.bridge.conftest import World, api, empty_valkey, options

OLD, NEW = "o" * 32, "n" * 32


@asynccontextmanager
async def webhook_world(
    graph: Graph, servers: Servers, origin: Running, **more: object
) -> AsyncIterator[World]:
    """An API with the webhook and without a bridge, so that accepted events stay in the streams."""
    await empty_valkey(servers.redis_url)
    settings = Settings(**(options(servers, origin) | more))  # type: ignore[arg-type]
    async with api(settings) as (url, context):
        yield World(graph, origin, settings, url, context)


def body(world: World, *users: str) -> dict[str, Any]:
    """Joins of these users, as Events & Actions sends them."""
    now = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    item = {"occupancy": 1, "data": {}, "timestamp": now, "subKey": "demo"}
    channels = {user: world.shards.channel(world.shards.shard(user)) for user in users}
    return {
        "schema": "pubnub.com/schemas/events/presence.user.channel.joined?v=1.0.0",
        "data": [item | {"id": user, "userId": user, "channel": channels[user]} for user in users],
    }


async def post(world: World, secret: str | None, sent: Any = None) -> tuple[int, str]:
    """Status and code of one call."""
    headers = {"X-Service-Key": ""} if secret is None else {"X-Webhook-Secret": secret}
    status, response = await world.call(
        "POST", "/webhooks/presence", json=body(world, "ann") if sent is None else sent, headers=headers
    )
    return status, response.get("code", "")


async def entries(context: BridgeContext) -> int:
    """The number of accepted entries."""
    return sum(await context.backends.valkey.lengths([keys.presence_log(number) for number in range(4)]))


async def test_both_secrets_are_accepted_while_they_change_and_the_old_one_no_longer_after(
    graph: Graph, servers: Servers, origin: Running
) -> None:
    """No event is refused in between; parts of a secret, changed case and other bytes are."""
    async with webhook_world(graph, servers, origin, webhook_secret=OLD) as world:
        assert [(await post(world, one))[0] for one in (OLD, NEW)] == [200, 401]
    both = {"webhook_secret": NEW, "webhook_secret_previous": OLD}
    async with webhook_world(graph, servers, origin, **both) as world:
        assert [(await post(world, one))[0] for one in (OLD, NEW)] == [200, 200]
        for wrong in (None, "", OLD[:-1], NEW + "n", NEW.upper(), "é", OLD + NEW, f"{OLD},{NEW}"):
            assert await post(world, wrong) == (401, "webhook_refused"), wrong
    async with webhook_world(graph, servers, origin, webhook_secret=NEW) as world:
        assert [await post(world, one) for one in (OLD, NEW)] == [(401, "webhook_refused"), (200, "")]


async def test_without_a_secret_the_webhook_is_closed_and_guesses_are_counted_by_address(
    graph: Graph, servers: Servers, origin: Running
) -> None:
    """With any header; the limit here is three guesses a minute."""
    async with webhook_world(graph, servers, origin, webhook_secret=None) as world:
        assert [await post(world, one) for one in ("", "None", OLD)] == [(403, "closed")] * 3
    async with webhook_world(graph, servers, origin, rate_limit_address="3/minute") as world:
        found = [await post(world, f"guess {number}") for number in range(5)]
        assert found == [(401, "webhook_refused")] * 3 + [(429, "rate_limited")] * 2
        assert (await post(world, "w" * 32))[0] == 200, "guesses do not lock out callers with the secret"


async def test_a_call_that_does_not_get_200_leaves_nothing(
    graph: Graph, servers: Servers, origin: Running
) -> None:
    """Too many events, broken JSON after good events, a full stream: the body is accepted whole or not at all."""
    async with webhook_world(graph, servers, origin, max_stream_entries=100) as world:
        many = body(world, "ann")
        many["data"] *= 10_001
        assert await post(world, "w" * 32, many) == (413, "too_many_events")
        status, problem = await world.call(
            "POST",
            "/webhooks/presence",
            data=b'[{"schema": "x", "data": [' + b"[" * 100_000,
            headers={"X-Webhook-Secret": "w" * 32, "Content-Type": "application/json"},
        )
        assert (status, problem["code"]) == (400, "bad_input")
        full = keys.presence_log(world.shards.partition("ann"))
        await world.context.backends.valkey.append([(full, b"[null,[]]")] * 100)
        before = await entries(world.context)
        others = [
            user
            for user in ("bob", "cat", "dan", "eve")
            if world.shards.partition(user) != world.shards.partition("ann")
        ]
        assert await post(world, "w" * 32, body(world, "ann", *others)) == (503, "stream_full")
        assert await entries(world.context) == before
        assert (await post(world, "w" * 32, body(world, *others)))[0] == 200
        assert await entries(world.context) > before


async def test_requested_syncs_stop_when_the_inbox_streams_are_full(
    graph: Graph, servers: Servers, origin: Running
) -> None:
    """Each call would append an entry, so it gets 503; the sync itself can still be read."""
    async with webhook_world(graph, servers, origin, max_stream_entries=100) as world:
        await world.create_friends("ann")
        full = keys.inbox(world.shards.partition("ann"))
        await world.context.backends.valkey.append([(full, b"[]")] * 100)
        status, problem = await world.call("POST", "/v1/sync", "ann")
        assert (status, problem["code"]) == (503, "stream_full")
        assert (await world.call("GET", "/v1/sync", "ann"))[0] == 200
