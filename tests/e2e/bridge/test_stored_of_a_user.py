"""What the bridge stores about users outside the streams: erased on demand; dead letters listed and redriven."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from graph_service.valkey.client import FIRST
from pubnub_bridge.cli import main
from pubnub_bridge.debounce.new_users import NewUsers
from pubnub_bridge.errors import PubNubUnavailable
from pubnub_bridge.model.notification import decode
from pubnub_bridge.model.presence_event import PresenceEvent
from pubnub_bridge.store import keys, presence_log
from pubnub_bridge.store.change_history import ChangeRecord, FailedRecipient
from tests.e2e.bridge.conftest import World

TS = "2026-11-24T10:00:00.000001Z"


def message(user: str, kind: str = "online") -> bytes:
    """A message about a user, as published."""
    payload = {"userId": user, "name": user.title(), "at": 1_700_000_000_000}
    event = {
        "type": f"friend.{kind}",
        "schemaVersion": "1.0.0",
        "eventId": f"evt_presence_{user}_1",
        "ts": TS,
    }
    return json.dumps(event | {"payload": payload}).encode()


def stack_file(world: World, path: Path) -> str:
    """The file that `up --json` writes, for this world."""
    settings = world.settings
    neo4j = {"uri": settings.neo4j_uri, "user": settings.neo4j_user}
    content = {
        "api": world.api,
        "origin": settings.pubnub_origin,
        "neo4j": neo4j | {"password": settings.neo4j_password.get_secret_value()},
        "redis": settings.redis_url.get_secret_value(),
        "jwtSecret": "j" * 32,
        "jwtAudience": "friends",
        "jwtIssuer": "tests",
        "publishKey": "demo",
        "subscribeKey": "demo",
        "secretKey": "sec",
        "serviceKey": "s" * 32,
        "consoleKey": "c" * 32,
    }
    path.write_text(json.dumps(content), "utf-8")
    return str(path)


async def command(*arguments: str) -> tuple[int, str]:
    """Exit code and output of one command, run in a thread."""
    result = await asyncio.to_thread(CliRunner().invoke, main.app, list(arguments))
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result.exit_code, result.output


async def test_an_erase_reports_every_store_and_leaves_nothing_in_it(quiet: World) -> None:
    """Recent changes, dead letters to and about the user, App Context and the graph; other users' data stays."""
    context, partition = quiet.context, quiet.shards.partition
    await quiet.create_friends("ann", "bob")
    await context.change_history.add(
        [
            ChangeRecord(
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
        ]
    )
    await context.change_history.add_failed(
        [FailedRecipient(user="ann", event_id="evt_presence_ann_1", inbox="bob", reason="400")]
    )
    await context.pubnub.set_user("ann", "Ann", {})
    for inbox, about in (("ann", "bob"), ("bob", "ann"), ("bob", "cid")):
        await context.dead_letters.add_message(partition(inbox), inbox, message(about), "400")
    status, report = await quiet.call("DELETE", "/v1/users/ann")
    assert status == 200
    stores = report["stores"]
    assert set(stores) == {"graph", "kept answers", "recent changes", "dead letters", "App Context"}
    assert stores["dead letters"] == {"removed": 2}
    assert await context.change_history.changes_of("ann") == []
    assert await context.change_history.failed_recipients("ann") == []
    assert [letter.about for letter in await context.dead_letters.all()] == [{"bob", "cid"}]
    response = await quiet.device("bob").client.get_uuid_metadata().uuid("ann").future()
    assert response.is_error()


async def test_redrive_lists_and_puts_back_messages_and_changes(quiet: World, tmp_path: Path) -> None:
    """--list changes nothing; without it each goes back to the stream it came from."""
    context, partition = quiet.context, quiet.shards.partition
    seen = PresenceEvent("ann", True, 1_700_000_000_000, quiet.shards.shard("ann"), "join")
    await context.dead_letters.add_message(partition("bob"), "bob", message("ann"), "400 too long")
    await context.dead_letters.add_change(partition("ann"), seen, "the graph refuses it")
    stack = stack_file(quiet, tmp_path / "stack.json")
    environment = ("--stack", stack)
    code, shown = await command("redrive", "--list", "--json", *environment)
    assert code == 0
    letters = json.loads(shown)["letters"]
    assert {(one["kind"], one["inbox"], one["reason"]) for one in letters} == {
        ("message", "bob", "400 too long"),
        ("change", "ann", "the graph refuses it"),
    }
    assert await context.dead_letters.count() == 2
    code, shown = await command("redrive", *environment)
    assert code == 0
    assert "2 put back" in shown
    assert await context.dead_letters.count() == 0
    streams = [keys.inbox(partition("bob")), keys.presence_log(partition("ann"))]
    found = await context.backends.valkey.read(dict.fromkeys(streams, FIRST))
    assert decode(found[streams[0]][0][1])[0].recipients == ["bob"]  # type: ignore[union-attr]
    assert presence_log.decode(found[streams[1]][0][1]) == [seen]
    assert (await command("redrive", *environment))[1].strip() == "No dead letters."


async def test_new_users_are_looked_up_again_until_pubnub_responds() -> None:
    """An error or a missing user in the response is retried, and a user who was found is not looked up again."""
    responses: list[list[str] | Exception] = [PubNubUnavailable(reason="away"), ["bob"], []]
    requested: list[list[str]] = []

    async def look_up(users: list[str]) -> list[str]:
        requested.append(list(users))
        response = responses.pop(0)
        if isinstance(response, Exception):
            raise response
        return response

    new_users = NewUsers(look_up=look_up)  # type: ignore[arg-type]
    await new_users.created(["ann", "bob"])
    assert [await new_users.step() for _ in range(3)] == [False, False, True]
    assert requested == [["ann", "bob"], ["ann", "bob"], ["bob"]]
    assert await new_users.step()
    assert len(requested) == 3
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(new_users.run(), 0.01)
