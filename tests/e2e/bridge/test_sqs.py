"""Notifications over SQS: the pipeline as over streams, and the Lambda function that batches and publishes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest

from graph_service.graph.driver import Graph
from local_stack.origin.app import Running
from pubnub_bridge import lambda_handler
from pubnub_bridge.fanout.sqs_queue import Received, SqsQueue
from pubnub_bridge.pubnub_api.publish_client import Outcome, PublishClient
from pubnub_bridge.store import keys
from pubnub_bridge.store.inbox_streams import InboxStreams
from tests.conftest import Servers
from tests.e2e.bridge.conftest import Device, World, eventually, running_world
from tests.e2e.bridge.test_stored_of_a_user import message
from tests.support import sqs
from tests.support.sqs import SqsServer


@pytest.fixture(scope="module")
def server() -> Iterator[SqsServer]:
    with sqs.serving() as one:
        yield one


@pytest.fixture
async def sqs_world(
    graph: Graph, servers: Servers, origin: Running, server: SqsServer
) -> AsyncIterator[World]:
    """A bridge whose notifications go over a new queue."""
    async with running_world(graph, servers, origin, {"queue_url": server.queue()}) as made:
        yield made


async def test_friends_are_notified_over_sqs(sqs_world: World, server: SqsServer) -> None:
    """Online, offline, the end of a friendship, and a redriven message; streams and queue end empty."""
    world = sqs_world
    await world.create_friends("ann", "bob")
    (ann,), bob = await world.online("ann"), world.device("bob")
    bob.appear()
    assert (await ann.receives(lambda m: m["type"] == "friend.online", 40))["payload"]["userId"] == "bob"
    await bob.receives(lambda m: m["type"] == "friends.sync" and m["payload"]["onlineFriends"] == ["ann"], 40)
    await bob.leave()
    await ann.receives(lambda m: m["type"] == "friend.offline", 40)
    assert (await world.call("DELETE", "/v1/friends/bob", "ann"))[0] == 200
    await ann.receives(lambda m: m["type"] == "friend.removed", 40)
    streams = [keys.inbox(number) for number in range(world.settings.partitions)]
    assert sum(await world.context.backends.valkey.lengths(streams)) == 0
    await world.context.dead_letters.add_message(world.shards.partition("ann"), "ann", message("zoe"), "400")
    assert await world.context.dead_letters.redrive() == 1
    await ann.receives(lambda m: m["payload"].get("userId") == "zoe", 40)

    async def empty() -> bool:
        return await asyncio.to_thread(server.left, world.settings.queue_url) == 0

    await eventually(empty)


class Deadline:
    """The part of Lambda's context that is read."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds

    def get_remaining_time_in_millis(self) -> int:
        return int(self._seconds * 1000)


def event(received: list[Received]) -> dict[str, Any]:
    """The event that Lambda passes (AWS docs: SQS event)."""
    records = [
        {
            "messageId": f"m-{number}",
            "receiptHandle": one.id,
            "body": one.body.decode(),
            "attributes": {"MessageGroupId": str(one.partition), "SentTimestamp": "1769851800000"},
            "eventSource": "aws:sqs",
        }
        for number, one in enumerate(received)
    ]
    return {"Records": records}


async def listening(world: World, user: str) -> Device:
    """A device that is certainly subscribed: it has received a message."""
    device = world.device(user)
    device.appear()
    pool = PublishClient(keyset=world.context.keyset, token=lambda: None)

    async def received() -> bool:
        result = await pool.post(f"inbox.{user}", b'{"type": "hello", "payload": {}}')
        assert result.outcome is Outcome.SENT
        return bool(device.listener.messages)

    await eventually(received)
    pool.connections.close()
    return device


async def test_a_lambda_function_publishes_the_entries_it_gets(
    quiet: World, server: SqsServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Published entries are acknowledged; those without time before the deadline are returned to SQS by name."""
    await quiet.create_friends("ann", "bob")
    ann, bob = await listening(quiet, "ann"), await listening(quiet, "bob")
    url = server.queue()
    options = quiet.settings.model_dump(exclude_unset=True) | {"queue_url": url}
    for name, value in options.items():
        text = value.get_secret_value() if hasattr(value, "get_secret_value") else value
        monkeypatch.setenv(name.upper(), str(text))
    monkeypatch.setattr(lambda_handler, "_warm", [])
    async with SqsQueue.open(url) as queue:
        inbox = InboxStreams(
            valkey=quiet.context.backends.valkey, partition=quiet.shards.partition, queue=queue
        )
        await inbox.request_sync(["ann"], "asked")
        await inbox.request_sync(["bob"], "asked")
        batch = event(await queue.receive(0))
        assert len(batch["Records"]) == 2
        late = await asyncio.to_thread(lambda_handler.handler, batch, Deadline(lambda_handler.MARGIN_SECONDS))
        assert late == {"batchItemFailures": [{"itemIdentifier": "m-0"}, {"itemIdentifier": "m-1"}]}
        # SQS delivers returned entries again; the warm function still has them, and repeats are allowed.
        done = await asyncio.to_thread(lambda_handler.handler, batch, Deadline(30))
        assert done == {"batchItemFailures": []}
    for device in (ann, bob):
        await device.receives(lambda m: m["type"] == "friends.sync", 40)
    await asyncio.to_thread(lambda_handler.close)
