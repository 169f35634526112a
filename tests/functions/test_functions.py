"""The Functions of `friends-presence/functions` under Node against a local origin, and their webhook body at the bridge."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import sys
from pathlib import Path

import pytest

from graph_service.messages import MESSAGE
from graph_service.shard import ShardMap
from pubnub_bridge.webhook import heard
from tests.support.origin_client import serving

ROOT = Path(__file__).resolve().parents[2]
CASES = ROOT / "friends-presence" / "functions" / "test" / "functions.test.mjs"
NODE = shutil.which("node", path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}")
AT = 1_769_851_800_000


@pytest.mark.skipif(NODE is None, reason="needs Node 20 or newer")
async def test_the_functions_do_what_the_pattern_says_and_stay_inside_the_limits() -> None:
    """All cases of functions.test.mjs pass; what they published is in contract; the bridge understands the webhook."""
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
    found = heard(json.loads(sent.split("WEBHOOK ", 1)[1]), ShardMap(20, 100), AT + 1000)
    assert not found.unknown
    assert [(one.user[:2], one.online, one.at) for one in found.seen] == [("me", True, AT)]
