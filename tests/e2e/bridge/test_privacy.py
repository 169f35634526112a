"""Erasing a user everywhere, `lastSeen` rounded to the hour, and a change history that ends."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from graph_service.friends.outbox import Outbox
from graph_service.graph.driver import Graph
from local_stack.origin.app import Running
from pubnub_bridge.model.notification import presence_event
from pubnub_bridge.pubnub_api.app_context import user_custom
from pubnub_bridge.store import keys
from pubnub_bridge.store.change_history import ChangeHistory, ChangeRecord
from tests.conftest import Servers
from tests.e2e.bridge.conftest import World, eventually
from tests.e2e.bridge.test_stored_of_a_user import command, stack_file
from tests.e2e.bridge.test_webhook_access import webhook_world

HOUR = 3600
AT = 1_700_000_123_456
"""20 minutes and some after a full hour, in milliseconds."""


def left(traces: dict[str, Any]) -> dict[str, int]:
    """The number of places by store, of stores where any is left."""
    return {one["store"]: one["left"] for one in traces["stores"] if one["left"]}


async def test_an_erase_is_clean_once_friends_are_notified(world: World, tmp_path: Path) -> None:
    """Graph, App Context, recent changes and streams contain the user before, and none of them after."""
    await world.create_friends("ann", "bob")
    _, bob = await world.online("ann", "bob")

    async def written() -> bool:
        _, traces = await world.call("GET", "/v1/users/ann/traces")
        return {"graph", "App Context", "kept answers and recent changes"} <= set(left(traces))

    await eventually(written)
    stack = stack_file(world, tmp_path / "stack.json")
    code, shown = await command("erase", "ann", "--json", "--stack", stack)
    report = json.loads(shown)
    assert (code, report["traces"]["clean"], left(report["traces"])) == (0, True, {}), shown
    assert {"graph", "App Context", "dead letters"} <= set(report["erased"])
    await bob.receives(lambda message: message["type"] == "friend.removed")
    code, shown = await command("erase", "ann", "--stack", stack)
    assert code == 0
    assert "There is no user 'ann' any more." in shown


async def test_what_is_still_in_a_stream_is_reported_and_not_called_clean(
    quiet: World, tmp_path: Path
) -> None:
    """Without a bridge the streams stay full: each place is counted; similar ids of other users are not."""
    context = quiet.context
    await quiet.create_friends("ann", "bob", "annabel")
    partition = quiet.shards.partition("bob")
    event = {"type": "friend.online", "payload": {"userId": "ann"}}
    other = {"type": "friend.online", "payload": {"userId": "annabel"}}
    rows = [(keys.inbox(partition), json.dumps([json.dumps(event)]).encode())]
    rows += [(keys.inbox(partition), json.dumps([json.dumps(other)]).encode())]
    rows += [(keys.events(partition), json.dumps(event, separators=(",", ":")).encode())]
    rows += [(keys.presence_log(partition), b'[null,[["ann",true,1,1,"join"]]]')]
    await context.backends.valkey.append(rows)
    stack = stack_file(quiet, tmp_path / "stack.json")
    code, shown = await command("erase", "ann", "--wait", "0", "--json", "--stack", stack)
    traces = json.loads(shown)["traces"]
    assert (code, traces["clean"]) == (1, False)
    assert left(traces) == {"seen streams": 1, "inbox streams": 1, "events streams": 1}


async def test_last_seen_is_rounded_to_the_hour_everywhere_but_in_ones_own_export(
    graph: Graph, servers: Servers, origin: Running
) -> None:
    """Pages, one friend, mutual friends, the back end's query, syncs' reads, messages, App Context, the relay."""
    rounded = AT // (HOUR * 1000) * HOUR * 1000
    async with webhook_world(graph, servers, origin, last_seen_rounding_seconds=HOUR) as world:
        await world.create_friends("ann", "bob", "cat")
        await graph.statement("MATCH (u:User) SET u.last_seen = $at, u.presence_at = $at", at=AT)
        await graph.statement("CREATE (:Outbox {a: 'ann', b: 'bob'})")
        found = []
        for path in ("/v1/friends", "/v1/friends/bob/mutual"):
            _, page = await world.call("GET", path, "ann")
            found += [one["lastSeen"] for one in page["friends"]]
        _, one = await world.call("GET", "/v1/friends/bob", "ann")
        _, asked = await world.call("POST", "/v1/presence:query", json={"ids": ["bob"]})
        found += [one["lastSeen"], asked["presence"][0]["lastSeen"]]
        assert len(found) == 5
        assert set(found) == {"2023-11-14T22:00:00.000Z"}
        snapshot = (await world.context.flags.read_snapshots(["bob"]))[0]
        message = json.loads(presence_event(snapshot).body)["payload"]["lastSeen"]
        assert {message, user_custom(snapshot, 0)["lastSeen"]} == {"2023-11-14T22:00:00.000000Z"}
        pair = (await Outbox(graph=graph, last_seen_rounding_seconds=HOUR).read())[0]
        assert {pair.a.last_seen, pair.b.last_seen} == {rounded}
        _, export = await world.call("GET", "/v1/users/bob")
        assert export["stores"]["graph"]["properties"]["last_seen"] == AT


async def test_the_change_history_ends_after_its_hours_and_stores_nothing_with_none(
    graph: Graph, servers: Servers, origin: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    """CHANGE_HISTORY_HOURS is the time to live; 0 stores nothing. What is stored is in the user's export."""
    record = ChangeRecord(
        user="ann",
        event_id="evt_presence_ann_1",
        online=True,
        at=1,
        reason="join",
        held_until=2,
        settled_at=3,
        outcome="told",
        recipients=1,
    )
    async with webhook_world(graph, servers, origin, change_history_hours=2) as world:
        await world.context.change_history.add([record])
        assert await world.context.change_history.changes_of("ann") == [record]
        await world.create_friends("ann")
        _, export = await world.call("GET", "/v1/users/ann")
        assert set(export["stores"]) == {"graph", "recent changes", "dead letters"}
        assert export["stores"]["recent changes"]["changes"][0]["event_id"] == record.event_id
        key = keys.change_history(world.shards.partition("ann"), "ann")
        lives = await ttl(servers.redis_url, key)
        assert HOUR < lives <= 2 * HOUR
        none = ChangeHistory(
            valkey=world.context.backends.valkey, partition=world.shards.partition, ttl_seconds=0
        )
        await none.erase("ann")
        await none.add([record])
        assert await none.changes_of("ann") == []


async def ttl(url: str, key: str) -> int:
    """Seconds until a key is gone."""
    import redis.asyncio as redis

    async with redis.Redis.from_url(url) as client:
        return int(await client.ttl(key))
