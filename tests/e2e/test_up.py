"""What a newcomer's first command does: everything starts, and one person's connect reaches a friend's inbox.

Only the JSON file of ``friends-presence up`` is known here, HTTP, and PubNub's official Python client.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import stat
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import jwt
import pytest
from pubnub.callbacks import SubscribeCallback
from pubnub.pnconfiguration import PNConfiguration
from pubnub.pubnub_asyncio import PubNubAsyncio

from graph_service.shard import ShardMap

pytestmark = pytest.mark.timeout(180)


class Inbox(SubscribeCallback):
    """Keeps what an official client heard."""

    def __init__(self) -> None:
        self.heard: asyncio.Queue[Any] = asyncio.Queue()

    def message(self, pubnub: Any, message: Any) -> None:
        """A message."""
        for event in message.message["payload"].get("events", [message.message]):
            self.heard.put_nowait(event)

    def presence(self, pubnub: Any, presence: Any) -> None:
        """Not of interest."""

    def status(self, pubnub: Any, status: Any) -> None:
        """Not of interest."""


@pytest.fixture
async def stack(tmp_path: Path) -> AsyncIterator[dict[str, Any]]:
    """``friends-presence up --no-demo`` as a person starts it, ended by Ctrl-C."""
    told = tmp_path / "stack.json"
    log = (tmp_path / "up.log").open("wb")
    command = [sys.executable, "-m", "pubnub_bridge.cli", "up", "--no-demo"]
    command += ["--data", str(tmp_path / "data"), "--json", str(told)]
    hidden = ("NEO4J_URI", "REDIS_URL")
    environ = {name: value for name, value in os.environ.items() if name not in hidden}
    environ |= {"HOLD_ONLINE": "1", "HOLD_LEAVE": "1"}
    process = await asyncio.create_subprocess_exec(*command, env=environ, stdout=log, stderr=log)
    try:
        deadline = time.monotonic() + 150
        while not told.exists():
            assert process.returncode is None, (tmp_path / "up.log").read_text()
            assert time.monotonic() < deadline, (tmp_path / "up.log").read_text()
            await asyncio.sleep(0.2)
        assert stat.S_IMODE(told.stat().st_mode) == 0o600
        yield json.loads(told.read_text())
    finally:
        process.send_signal(signal.SIGINT)
        await asyncio.wait_for(process.wait(), 30)


def token(stack: dict[str, Any], user: str) -> dict[str, str]:
    """What the product's own login would give its user."""
    now = int(time.time())
    claims = {
        "sub": user,
        "aud": stack["jwtAudience"],
        "iss": stack["jwtIssuer"],
        "iat": now,
        "exp": now + 600,
    }
    return {"Authorization": f"Bearer {jwt.encode(claims, stack['jwtSecret'], 'HS256')}"}


def client(session: dict[str, Any]) -> tuple[PubNubAsyncio, Inbox]:
    """An official client of one user, set up from the session alone."""
    config = PNConfiguration()
    config.subscribe_key, config.publish_key = session["subscribeKey"], session["publishKey"]
    config.user_id, config.origin, config.ssl = session["userId"], session["origin"], session["tls"]
    made, inbox = PubNubAsyncio(config), Inbox()
    made.set_token(session["token"])
    made.add_listener(inbox)
    return made, inbox


async def session(http: aiohttp.ClientSession, stack: dict[str, Any], user: str) -> dict[str, Any]:
    """Everything a client needs, by one call."""
    async with http.post("/v1/session", headers=token(stack, user)) as answer:
        assert answer.status == 200, await answer.text()
        found: dict[str, Any] = await answer.json()
        return found


async def test_one_persons_connect_reaches_a_friends_inbox(stack: dict[str, Any]) -> None:
    """Both arrive by official clients; the one who was there is told of the other by name."""
    async with aiohttp.ClientSession(stack["api"]) as http:
        for user in ("ann", "ben"):
            key = {"X-Service-Key": stack["serviceKey"]}
            async with http.put(f"/v1/users/{user}", headers=key, json={"name": user.title()}) as answer:
                assert answer.status == 200
        for me, other in (("ann", "ben"), ("ben", "ann")):
            async with http.put(f"/v1/friends/{other}", headers=token(stack, me)) as answer:
                assert answer.status == 200
        anns, bens = [await session(http, stack, user) for user in ("ann", "ben")]
        assert anns["channels"]["presence"] == ShardMap().channel(ShardMap().shard("ann"))
        ann, anns_inbox = client(anns)
        ben, _ = client(bens)
        ann.subscribe().channels([anns["channels"]["inbox"], anns["channels"]["presence"]]).execute()
        assert (await heard(anns_inbox, "friends.sync"))["payload"]["onlineFriends"] == []
        await asyncio.sleep(2)  # real time: until ann is settled, nobody is announced to her
        ben.subscribe().channels([bens["channels"]["presence"]]).execute()
        online = await heard(anns_inbox, "friend.online")
        assert (online["payload"]["userId"], online["payload"]["name"]) == ("ben", "Ben")
        async with http.get("/v1/friends", headers=token(stack, "ann")) as answer:
            assert [(one["id"], one["online"]) for one in (await answer.json())["friends"]] == [("ben", True)]
        await ann.stop()
        await ben.stop()


async def heard(inbox: Inbox, wanted: str) -> Any:
    """The next event of a type."""
    async with asyncio.timeout(20):
        while True:
            event = await inbox.heard.get()
            if event["type"] == wanted:
                return event
