"""The operator console's routes over a real bridge: who may, what is kept of a look, and that the picture is true."""

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
from tests.e2e.bridge.conftest import World, _world, eventually

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
async def watched(graph: Graph, servers: Servers, origin: Running) -> AsyncIterator[World]:
    """A world with an operator."""
    more: dict[str, object] = {
        "console_key": KEY,
        "console_interval_seconds": 0.5,
        "max_consoles": 2,
        "rate_limit_address": "",
    }
    async with _world(graph, servers, origin, more) as made:
        yield made


async def asked(world: World, path: str, **headers: str) -> tuple[int, Any]:
    """A GET with these headers alone."""
    async with aiohttp.ClientSession() as session, session.get(world.api + path, headers=headers) as reply:
        return reply.status, await reply.json()


async def looks(world: World) -> list[tuple[str, str, str]]:
    """The audit log."""
    _, found = await asked(world, "/v1/console/audit", **OPERATOR)
    return [(one["what"], one["about"], one["by"]) for one in found["looks"]]


async def test_only_the_consoles_key_opens_the_console_and_it_opens_nothing_else(watched: World) -> None:
    """No key, a wrong one, the service key, a user's token: refused, unread and unkept. Redrive wants the service key."""
    await watched.people("ann", "bob")
    for path in READS:
        for headers in ({}, {"X-Console-Key": "x" * 32}, {"X-Service-Key": "s" * 32}):
            status, problem = await asked(watched, path, **headers)
            assert (status, problem["code"]) == (401, "key_refused"), (path, headers)
        assert (await watched.call("GET", path, "ann"))[0] == 401
    assert await looks(watched) == []
    for method, path in (("POST", "/v1/console/redrive"), ("GET", "/v1/why?viewer=ann&friend=bob")):
        status, problem = await watched.call(method, path, headers=OPERATOR | {"X-Service-Key": ""})
        assert (status, problem["code"]) == (401, "key_refused")
    assert (await watched.call("POST", "/v1/console/redrive"))[1] == {"redriven": 0}
    assert await looks(watched) == [("redrive", "", "")]


async def test_every_look_at_people_is_kept_before_it_is_shown(watched: World) -> None:
    """Who, what and whom; an unknown person too; a picture that refreshes itself once; a name cannot fake a line."""
    await watched.people("ann", "bob")
    status, why = await asked(watched, READS[2], **OPERATOR)
    assert (status, why["verdict"]) == (200, "Ann sees Bob offline because Bob was never seen online.")
    assert (await asked(watched, "/v1/console/why?viewer=ann&friend=zoe", **OPERATOR))[0] == 404
    for _ in range(3):
        assert (await asked(watched, READS[4], **OPERATOR))[0] == 200
    await asked(watched, READS[3], **OPERATOR)
    forged = {**OPERATOR, "X-Operator": "Eve " + "x" * 200}
    await asked(watched, "/v1/console/ego?user=bob", **forged)
    assert await looks(watched) == [
        ("ego", "bob", "Eve " + "x" * 60),
        ("ego", "ann", "Olga"),
        ("ego", "ann", "Olga"),
        ("why", "ann zoe", "Olga"),
        ("why", "ann bob", "Olga"),
    ]


async def test_bad_questions_are_problems(watched: World) -> None:
    """Limits and ids are checked; a stranger is not found."""
    for path in (
        "/v1/console/ego?user=ann&limit=151",
        "/v1/console/ego",
        "/v1/console/why?viewer=a%20b&friend=b",
    ):
        assert (await asked(watched, path, **OPERATOR))[0] == 400, path
    for path in ("/v1/console/ego?user=nobody", "/v1/console/ego/flags?user=nobody"):
        assert (await asked(watched, path, **OPERATOR))[1]["code"] == "user_not_found"


async def test_the_stream_carries_a_true_picture_and_consoles_are_bounded(watched: World) -> None:
    """Snapshots come; what happens is in them; a third console is told to wait, and gets in when one has left."""
    await watched.people("ann", "bob", "cat")
    async with aiohttp.ClientSession(headers=OPERATOR) as session:
        url = watched.api + "/v1/console/stream"
        async with session.get(url) as first, session.get(url):
            assert first.content_type == "text/event-stream"
            status, problem = await asked(watched, READS[1], **OPERATOR)
            assert (status, problem["code"]) == (429, "too_many_consoles")
            await reported_once(first)
            await watched.online("ann", "bob", "cat")
            missing = {"receive", "settle", "inbox", "publish", "partitions", "online", "latency", "costly"}
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(30):
                    async for shown in snapshots(first):
                        missing -= told(shown)
                        if not missing:
                            break
            assert not missing, shown
        assert [one["owner"] is not None for one in shown["partitions"]] == [True] * 4
        assert shown["consoles"] == 2
        assert len(shown["shards"]["occupancy"]) == 8
        assert {one["user"] for one in shown["costly"]} <= {"ann", "bob", "cat"}

        async def let_in() -> bool:
            async with session.get(url) as again:
                return again.status == 200

        await eventually(let_in)


def told(shown: dict[str, Any]) -> set[str]:
    """What a snapshot says of three arrivals: rows that were busy, who is online, how late news were, at what cost."""
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
    """The bridge owns everything, and has said once what it counts from: six snapshots are 3 s, a report is due every 2."""
    owned = 0
    async with asyncio.timeout(60):
        async for shown in snapshots(reply):
            owned += all(one["owner"] for one in shown["partitions"])
            if owned == 6:
                return


async def snapshots(reply: aiohttp.ClientResponse) -> AsyncIterator[dict[str, Any]]:
    """What a stream carries."""
    kind = ""
    async for line in reply.content:
        name, _, value = line.decode().rstrip("\n").partition(": ")
        if name == "event":
            kind = value
        elif name == "data" and kind == "snapshot":
            yield json.loads(value)


async def test_flags_of_a_picture_follow_the_graph(watched: World) -> None:
    """Ann's friends in the picture, with who knows whom; Bob comes, and the flags say so."""
    await watched.people("ann", "bob", "cat")
    _, picture = await asked(watched, READS[3], **OPERATOR)
    assert [one["id"] for one in picture["friends"]] == ["bob", "cat"]
    assert picture["edges"] == [["bob", "cat"]]
    await watched.online("bob")
    _, flags = await asked(watched, READS[4], **OPERATOR)
    assert flags["friends"] == ["bob"]


async def test_dead_letters_are_shown_and_put_back(watched: World) -> None:
    """By reason and kind; after redrive the friend hears it."""
    await watched.people("ann", "bob")
    (ann,) = await watched.online("ann")
    body = json.dumps({"type": "friends.sync", "payload": {}}).encode()
    partition = watched.shards.partition("ann")
    await watched.context.dead_letters.add_message(partition, "ann", body, f"{Outcome.REFUSED.name}: 400")
    _, found = await asked(watched, READS[5], **OPERATOR)
    assert found["total"] == 1
    assert (found["letters"][0]["inbox"], found["letters"][0]["kind"]) == ("ann", "friends.sync")
    before = len(ann.events())
    assert (await watched.call("POST", "/v1/console/redrive"))[1] == {"redriven": 1}
    await ann.hears(lambda m: m["type"] == "friends.sync" and m in ann.events()[before:])
    assert (await asked(watched, READS[5], **OPERATOR))[1]["total"] == 0


async def test_without_a_key_the_console_is_closed(quiet: World) -> None:
    """Deny by default, and say which option opens it."""
    for path in READS:
        status, problem = await asked(quiet, path, **OPERATOR)
        assert (status, problem["code"]) == (403, "closed")
        assert "CONSOLE_KEY" in problem["detail"]
