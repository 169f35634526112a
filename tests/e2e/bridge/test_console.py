"""The operator console's routes over a real bridge: access, the audit log, and figures that are true."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest

from graph_service.graph.driver import Graph
from local_stack.origin.app import Running
from pubnub_bridge.pubnub_api.publish_client import Outcome
from tests.conftest import Servers
from tests.e2e.bridge.conftest import World, eventually, running_world

KEY = "c" * 32
OPERATOR = {"X-Console-Key": KEY, "X-Operator": "Olga"}
READS = (
    "/v1/console",
    "/v1/console/stream",
    "/v1/console/why?viewer=ann&friend=bob",
    "/v1/console/ego?user=ann",
    "/v1/console/ego/flags?user=ann",
    "/v1/console/dead",
    "/v1/console/audit",
)


@pytest.fixture
async def watched(
    graph: Graph, servers: Servers, origin: Running, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[World]:
    """A bridge with an operator."""
    monkeypatch.setattr("pubnub_bridge.observe.console.feed.CONSOLE_INTERVAL_SECONDS", 0.5)
    monkeypatch.setattr("pubnub_bridge.observe.console.feed.MAX_CONSOLES", 2)
    more: dict[str, object] = {"console_key": KEY, "rate_limit_address": ""}
    async with running_world(graph, servers, origin, more) as made:
        yield made


async def get(world: World, path: str, **headers: str) -> tuple[int, Any]:
    """A GET with these headers alone."""
    async with aiohttp.ClientSession() as session, session.get(world.api + path, headers=headers) as reply:
        return reply.status, await reply.json()


async def audited(world: World) -> list[tuple[str, str, str]]:
    """The audit log."""
    _, found = await get(world, "/v1/console/audit", **OPERATOR)
    return [(one["what"], one["about"], one["by"]) for one in found["looks"]]


async def test_only_the_console_key_opens_the_console_and_it_opens_nothing_else(watched: World) -> None:
    """No key, a wrong one, the service key, a user's token: refused and not audited. Redrive requires the service key."""
    await watched.create_friends("ann", "bob")
    for path in READS:
        for headers in ({}, {"X-Console-Key": "x" * 32}, {"X-Service-Key": "s" * 32}):
            status, problem = await get(watched, path, **headers)
            assert (status, problem["code"]) == (401, "key_refused"), (path, headers)
        assert (await watched.call("GET", path, "ann"))[0] == 401
    assert await audited(watched) == []
    for method, path in (("POST", "/v1/console/redrive"), ("GET", "/v1/why?viewer=ann&friend=bob")):
        status, problem = await watched.call(method, path, headers=OPERATOR | {"X-Service-Key": ""})
        assert (status, problem["code"]) == (401, "key_refused")
    assert (await watched.call("POST", "/v1/console/redrive"))[1] == {"redriven": 0}
    assert await audited(watched) == [("redrive", "", "")]


async def test_every_access_to_a_users_data_is_audited_before_it_is_shown(watched: World) -> None:
    """Who, what and whom, unknown users too; a circle that refreshes is audited once; a name cannot forge a line."""
    await watched.create_friends("ann", "bob")
    status, why = await get(watched, READS[2], **OPERATOR)
    assert (status, why["verdict"]) == (200, "Ann sees Bob offline because Bob was never seen online.")
    assert (await get(watched, "/v1/console/why?viewer=ann&friend=zoe", **OPERATOR))[0] == 404
    for _ in range(3):
        assert (await get(watched, READS[4], **OPERATOR))[0] == 200
    await get(watched, READS[3], **OPERATOR)
    forged = {**OPERATOR, "X-Operator": "Eve " + "x" * 200}
    await get(watched, "/v1/console/ego?user=bob", **forged)
    assert await audited(watched) == [
        ("ego", "bob", "Eve " + "x" * 60),
        ("ego", "ann", "Olga"),
        ("ego", "ann", "Olga"),
        ("why", "ann zoe", "Olga"),
        ("why", "ann bob", "Olga"),
    ]


async def test_bad_requests_are_problems(watched: World) -> None:
    """Limits and ids are checked; an unknown user is not found."""
    for path in (
        "/v1/console/ego?user=ann&limit=151",
        "/v1/console/ego",
        "/v1/console/why?viewer=a%20b&friend=b",
    ):
        assert (await get(watched, path, **OPERATOR))[0] == 400, path
    for path in ("/v1/console/ego?user=nobody", "/v1/console/ego/flags?user=nobody"):
        assert (await get(watched, path, **OPERATOR))[1]["code"] == "user_not_found"


async def test_the_stream_carries_a_true_circle_and_consoles_are_bounded(watched: World) -> None:
    """Snapshots contain what happens; a third console gets 429, and is accepted when one has left."""
    await watched.create_friends("ann", "bob", "cat")
    async with aiohttp.ClientSession(headers=OPERATOR) as session:
        url = watched.api + "/v1/console/stream"
        async with session.get(url) as first, session.get(url):
            assert first.content_type == "text/event-stream"
            status, problem = await get(watched, READS[1], **OPERATOR)
            assert (status, problem["code"]) == (429, "too_many_consoles")
            await reported_once(first)
            await watched.online("ann", "bob", "cat")
            missing = {"ingest", "commit", "enqueue", "publish", "partitions", "online", "latency", "costly"}
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(30):
                    async for shown in snapshots(first):
                        missing -= contained(shown)
                        if not missing:
                            break
            assert not missing, shown
        assert [one["owner"] is not None for one in shown["partitions"]] == [True] * 4
        assert shown["consoles"] == 2
        assert len(shown["shards"]["occupancy"]) == 8
        assert {one["user"] for one in shown["costly"]} <= {"ann", "bob", "cat"}

        async def accepted() -> bool:
            async with session.get(url) as again:
                return again.status == 200

        await eventually(accepted)


def contained(shown: dict[str, Any]) -> set[str]:
    """What a snapshot contains of three arrivals: active stages, users online, latency, cost."""
    latency = shown["figures"]["latencyP50"]
    found = {
        "partitions": sum(one["online"] or 0 for one in shown["partitions"]) == 3,
        "online": shown["online"] == 3,
        "latency": latency is not None and latency < 5,
        "costly": bool(shown["costly"]),
    }
    return {name for name, is_so in found.items() if is_so} | {
        one["name"] for one in shown["walk"] if one["rate"]
    }


async def reported_once(reply: aiohttp.ClientResponse) -> None:
    """Return once the bridge owns everything and has reported once: six snapshots are 3 s, a report is due every 2."""
    owned = 0
    async with asyncio.timeout(60):
        async for shown in snapshots(reply):
            owned += all(one["owner"] for one in shown["partitions"])
            if owned == 6:
                return


async def snapshots(reply: aiohttp.ClientResponse) -> AsyncIterator[dict[str, Any]]:
    """The snapshots of a stream."""
    kind = ""
    async for line in reply.content:
        name, _, value = line.decode().rstrip("\n").partition(": ")
        if name == "event":
            kind = value
        elif name == "data" and kind == "snapshot":
            yield json.loads(value)


async def test_flags_of_a_circle_follow_the_graph(watched: World) -> None:
    """Ann's friends with the friendships among them; Bob comes, and his flag is set."""
    await watched.create_friends("ann", "bob", "cat")
    _, circle = await get(watched, READS[3], **OPERATOR)
    assert [one["id"] for one in circle["friends"]] == ["bob", "cat"]
    assert circle["edges"] == [["bob", "cat"]]
    await watched.online("bob")
    _, flags = await get(watched, READS[4], **OPERATOR)
    assert flags["friends"] == ["bob"]


async def test_dead_letters_are_shown_and_redriven(watched: World) -> None:
    """By reason and kind; after the redrive the message arrives."""
    await watched.create_friends("ann", "bob")
    (ann,) = await watched.online("ann")
    body = json.dumps({"type": "friends.sync", "payload": {}}).encode()
    partition = watched.shards.partition("ann")
    await watched.context.dead_letters.add_message(partition, "ann", body, f"{Outcome.REFUSED.name}: 400")
    _, found = await get(watched, READS[5], **OPERATOR)
    assert found["total"] == 1
    assert (found["letters"][0]["inbox"], found["letters"][0]["kind"]) == ("ann", "friends.sync")
    before = len(ann.events())
    assert (await watched.call("POST", "/v1/console/redrive"))[1] == {"redriven": 1}
    await ann.receives(lambda m: m["type"] == "friends.sync" and m in ann.events()[before:])
    assert (await get(watched, READS[5], **OPERATOR))[1]["total"] == 0


async def test_without_a_key_the_console_is_closed(quiet: World) -> None:
    """The problem names the setting that opens it."""
    for path in READS:
        status, problem = await get(quiet, path, **OPERATOR)
        assert (status, problem["code"]) == (403, "closed")
        assert "CONSOLE_KEY" in problem["detail"]
