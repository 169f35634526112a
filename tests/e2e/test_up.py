"""``friends-presence up`` starts everything, and one user's connect reaches a friend's inbox.

This test uses only the command's JSON file, HTTP, and PubNub's official Python client. It also checks the processes
from outside: no secret in any command line, no secret, token or user's name in any log.
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

from graph_service.model.sharding import ShardMap

pytestmark = pytest.mark.timeout(180)
NAMES = {"ann": "Annegret Quastenflosser", "ben": "Benedikt Zwiebelfisch"}
"""Names that no log contains by chance."""
WEBHOOK_SECRET = "webhook-secret-of-this-test-0123456789"


class Inbox(SubscribeCallback):
    """Stores the messages of an official client."""

    def __init__(self) -> None:
        self.heard: asyncio.Queue[Any] = asyncio.Queue()

    def message(self, pubnub: Any, message: Any) -> None:
        """A message."""
        for event in message.message["payload"].get("events", [message.message]):
            self.heard.put_nowait(event)

    def presence(self, pubnub: Any, presence: Any) -> None:
        """Ignored."""

    def status(self, pubnub: Any, status: Any) -> None:
        """Ignored."""


@pytest.fixture
async def stack(tmp_path: Path) -> AsyncIterator[dict[str, Any]]:
    """``friends-presence up --no-demo``, ended by Ctrl-C."""
    stack_file = tmp_path / "stack.json"
    log = (tmp_path / "up.log").open("wb")
    command = [sys.executable, "-m", "pubnub_bridge.cli.main", "up", "--no-demo"]
    command += ["--data", str(tmp_path / "data"), "--json", str(stack_file)]
    hidden = ("NEO4J_URI", "REDIS_URL")
    environ = {name: value for name, value in os.environ.items() if name not in hidden}
    environ |= {
        "DEBOUNCE_ONLINE_SECONDS": "1",
        "DEBOUNCE_LEAVE_SECONDS": "1",
        "LOG_LEVEL": "debug",
        "WEBHOOK_SECRET": WEBHOOK_SECRET,
    }
    process = await asyncio.create_subprocess_exec(*command, env=environ, stdout=log, stderr=log)
    try:
        deadline = time.monotonic() + 150
        while not stack_file.exists():
            assert process.returncode is None, (tmp_path / "up.log").read_text()
            assert time.monotonic() < deadline, (tmp_path / "up.log").read_text()
            await asyncio.sleep(0.2)
        assert stat.S_IMODE(stack_file.stat().st_mode) == 0o600
        yield json.loads(stack_file.read_text()) | {"folder": str(tmp_path)}
    finally:
        process.send_signal(signal.SIGINT)
        await asyncio.wait_for(process.wait(), 30)


def token(stack: dict[str, Any], user: str) -> dict[str, str]:
    """The JWT that the product's login would issue to its user."""
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
    """An official client of one user, configured from the session alone."""
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
    """Both connect by official clients; the one who was there is notified of the other by name."""
    async with aiohttp.ClientSession(stack["api"]) as http:
        for user in ("ann", "ben"):
            key = {"X-Service-Key": stack["serviceKey"]}
            async with http.put(f"/v1/users/{user}", headers=key, json={"name": NAMES[user]}) as answer:
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
        await asyncio.sleep(2)  # real time: before ann is settled, no friend is announced to her
        ben.subscribe().channels([bens["channels"]["presence"]]).execute()
        online = await heard(anns_inbox, "friend.online")
        assert (online["payload"]["userId"], online["payload"]["name"]) == ("ben", NAMES["ben"])
        async with http.get("/v1/friends", headers=token(stack, "ann")) as answer:
            assert [(one["id"], one["online"]) for one in (await answer.json())["friends"]] == [("ben", True)]
        tokens = [anns["token"], bens["token"], await troubles(http, stack)]
        await ann.stop()
        await ben.stop()
    for secret in secrets(stack):
        assert not any(secret in command for command in command_lines()), "a secret in a command line"
    nothing_private_in_the_logs(Path(stack["folder"]), [*secrets(stack), *tokens, *NAMES.values()])


async def troubles(http: aiohttp.ClientSession, stack: dict[str, Any]) -> str:
    """Failing requests of every kind, each with something that must not be logged; returns the token that was sent."""
    good = token(stack, "ann")["Authorization"]
    forged = {"Authorization": good[:-6] + "AAAAAA"}
    key = {"X-Service-Key": stack["serviceKey"]}
    calls: list[tuple[str, str, dict[str, Any]]] = [
        ("GET", "/v1/friends", {"headers": forged}),
        ("GET", f"/v1/friends?token={stack['jwtSecret']}", {"headers": {"Authorization": good}}),
        ("GET", "/v1/friends", {"headers": {"X-Service-Key": stack["serviceKey"] + "x"}}),
        ("PUT", "/v1/users/ann", {"headers": key, "json": {"name": NAMES["ann"] + "\n"}}),
        ("PUT", "/v1/users/ann", {"headers": key, "data": NAMES["ann"]}),
        ("PUT", f"/v1/users/{NAMES['ann']}", {"headers": key, "json": {"name": "x"}}),
        ("POST", "/webhooks/presence", {"headers": {"X-Webhook-Secret": WEBHOOK_SECRET}, "data": b"{"}),
        ("POST", "/webhooks/presence", {"headers": {"X-Webhook-Secret": WEBHOOK_SECRET + "x"}, "json": {}}),
        ("GET", "/v1/users/ann", {"headers": key}),
    ]
    for method, path, more in calls:
        async with http.request(method, path, **more) as answer:
            await answer.read()
    return good.removeprefix("Bearer ")


def secrets(stack: dict[str, Any]) -> list[str]:
    """All secrets."""
    names = ("jwtSecret", "serviceKey", "consoleKey", "secretKey")
    passwords = [stack["neo4j"]["password"], stack["redis"].partition("@")[0].rpartition(":")[2]]
    found = [stack[name] for name in names] + passwords + [WEBHOOK_SECRET]
    return [one for one in found if len(one) >= 12]


def command_lines() -> list[str]:
    """The command lines of all readable processes of this machine."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            found.append(path.read_bytes().decode(errors="replace"))
        except OSError:  # it has ended
            continue
    return found


def nothing_private_in_the_logs(folder: Path, private: list[str]) -> None:
    """Searches for the whole words and, for tokens, for their signature."""
    logs = [path for path in folder.rglob("*.log*") if path.is_file()]
    assert sum(path.stat().st_size for path in logs) > 10_000, "debug logs say something"
    for path in logs:
        text = path.read_text(errors="replace")
        for word in private:
            assert word not in text, f"{path.name} contains {word[:6]}…"
            assert word.rpartition(".")[2] not in text or "." not in word, path.name


async def heard(inbox: Inbox, wanted: str) -> Any:
    """The next event of a type."""
    async with asyncio.timeout(20):
        while True:
            event = await inbox.heard.get()
            if event["type"] == wanted:
                return event
