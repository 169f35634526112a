"""The Functions of `friends-presence/functions` under Node against a local origin, and their webhook body in the bridge."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import sys
from pathlib import Path
from typing import Any

import pytest
from pubnub.callbacks import SubscribeCallback

from graph_service.model.messages import MESSAGE
from graph_service.model.sharding import ShardMap
from pubnub_bridge.ingest.webhook import parse_webhook
from tests.support.origin_client import serving

ROOT = Path(__file__).resolve().parents[2]
CASES = ROOT / "friends-presence" / "functions" / "test" / "functions.test.mjs"
LISTEN = ROOT / "friends-presence" / "functions" / "runtime" / "listen.mjs"
NODE = shutil.which("node", path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}")
AT = 1_769_851_800_000


@pytest.mark.skipif(NODE is None, reason="needs Node 20 or newer")
async def test_the_functions_do_what_the_pattern_says_and_stay_within_the_limits() -> None:
    """All cases of functions.test.mjs pass; their messages fit the contract; the bridge parses the webhook."""
    assert NODE
    async with serving() as client:
        process = await asyncio.create_subprocess_exec(
            *(NODE, "--test", "--test-reporter=tap", str(CASES)),
            env={**os.environ, "ORIGIN": client.address},
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        out = (await asyncio.wait_for(process.communicate(), 120))[0].decode()
        assert process.returncode == 0, out
        path = "/v3/history/sub-key/demo/channel/inbox.me1,inbox.f1x0,inbox.f2x0,status.global?max=25"
        _, history = await client.call("GET", path)
    kinds = {
        MESSAGE.validate_python(one["message"]).type for of in history["channels"].values() for one in of
    }
    assert kinds == {"friends.sync", "friend.online", "friend.offline", "status.count"}
    sent = next(line for line in out.splitlines() if "WEBHOOK " in line)
    found = parse_webhook(json.loads(sent.split("WEBHOOK ", 1)[1]), ShardMap(20, 100), AT + 1000)
    assert not found.unknown
    assert [(one.user[:2], one.online, one.at) for one in found.events] == [("me", True, AT)]


@pytest.mark.skipif(NODE is None, reason="needs Node 20 or newer")
async def test_official_clients_see_each_other_come_and_go_by_functions_alone() -> None:
    """Ann's client arrives and leaves; Ben's inbox, read by another official client, says so in this order."""
    assert NODE
    async with serving() as client, client.sdk("ben") as ben, client.sdk("ann") as ann:
        for user in ("ann", "ben"):
            profile = {"name": user.title(), "custom": {"online": user == "ben"}}
            await client.call("PATCH", f"/v2/objects/demo/uuids/{user}", profile)
        await client.call(
            "PATCH", "/v2/objects/demo/channels/friends.ann/uuids", {"set": [{"uuid": {"id": "ben"}}]}
        )
        process = await asyncio.create_subprocess_exec(
            *(NODE, str(LISTEN), client.address, "presence.shard-45"),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
        )
        assert process.stdin
        assert process.stdout
        try:
            assert await asyncio.wait_for(process.stdout.readline(), 30) == b"ready\n"
            inbox = Inbox()
            ben.add_listener(inbox)
            ben.subscribe().channels("inbox.ben").execute()
            await asyncio.wait_for(inbox.connected.wait(), 30)
            ann.subscribe().channels("presence.shard-45").execute()
            assert (await asyncio.wait_for(inbox.received.get(), 30)).type == "friend.online"
            await client.call("GET", "/v2/presence/sub-key/demo/channel/presence.shard-45/leave?uuid=ann")
            event = await asyncio.wait_for(inbox.received.get(), 30)
            assert (event.type, event.payload.user_id) == ("friend.offline", "ann")
        finally:
            process.stdin.close()
            await asyncio.wait_for(process.wait(), 10)


class Inbox(SubscribeCallback):  # type: ignore[misc]
    """Messages that an official client receives on an inbox; each must fit the contract."""

    def __init__(self) -> None:
        self.connected = asyncio.Event()
        self.received: asyncio.Queue[Any] = asyncio.Queue()

    def status(self, pubnub: Any, status: Any) -> None:
        """The first status is the connection."""
        self.connected.set()

    def presence(self, pubnub: Any, presence: Any) -> None:
        """Ignored."""

    def message(self, pubnub: Any, message: Any) -> None:
        """One inbox message."""
        self.received.put_nowait(MESSAGE.validate_python(message.message))
