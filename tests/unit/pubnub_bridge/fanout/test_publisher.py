"""Publisher: partitions take turns, and what is in flight is waited for. The origin is a stand-in."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from typing import Any
from unittest.mock import AsyncMock, MagicMock, patch

import pytest

from graph_service.concurrency.cancellation import cancel_and_wait
from graph_service.errors import GraphUnavailable, QueueUnavailable
from pubnub_bridge.fanout.batcher import BatchWindow
from pubnub_bridge.fanout.circuit_breaker import CircuitBreaker
from pubnub_bridge.fanout.publisher import PartitionOutbox, Publisher, PublishLimits
from pubnub_bridge.model.notification import Event, Notification, SyncNotification, encode
from pubnub_bridge.pubnub_api.publish_client import SENT, Outcome, PublishResult, classify


class Posts:
    """An origin that takes everything, and remembers for whom."""

    def __init__(self, enough: int) -> None:
        self.inboxes: list[str] = []
        self.done = asyncio.Event()
        self._enough = enough

    async def post(self, channel: str, body: bytes) -> PublishResult:
        """Taken, a moment later."""
        self.inboxes.append(channel.removeprefix("inbox."))
        if len(self.inboxes) >= self._enough:
            self.done.set()
        await asyncio.sleep(0)
        return SENT


def publisher(
    outboxes: Mapping[int, PartitionOutbox], client: Any, *, in_flight: int = 1, **instead: Any
) -> Publisher:
    """Publishes these outboxes; whatever else it calls succeeds."""
    parts: dict[str, Any] = {
        "outboxes": outboxes,
        "wakeup": asyncio.Event(),
        "client": client,
        "inbox": MagicMock(delete=AsyncMock(), requeue=AsyncMock()),
        "syncs": MagicMock(),
        "dead_letters": MagicMock(add_message=AsyncMock()),
        "on_denied": lambda: None,
        "add_failed": AsyncMock(),
        "limits": PublishLimits(in_flight=in_flight),
        "max_syncs": lambda: in_flight,
    }
    return Publisher(**(parts | instead))


async def test_batches_of_every_partition_go_out_while_there_are_more_than_can() -> None:
    """With room for one publish at once, one of each partition in turn."""
    outboxes = {
        number: PartitionOutbox(partition=number, window=BatchWindow(0.0, 0.0)) for number in range(3)
    }
    for number, outbox in outboxes.items():
        syncs = [SyncNotification(f"{number}-{place}", 1, 1, []) for place in range(20)]
        outbox.add([("1-0", encode(syncs))], time.monotonic(), 0.0)
    posts = Posts(enough=12)
    running = asyncio.create_task(publisher(outboxes, posts).run())
    try:
        async with asyncio.timeout(5):
            await posts.done.wait()
    finally:
        await cancel_and_wait([running])
    assert [inbox[0] for inbox in posts.inboxes[:12]] == ["0", "1", "2"] * 4


class Answers:
    """An origin that answers each message with the next of these, and then accepts."""

    def __init__(self, *results: PublishResult) -> None:
        self.results = list(results)
        self.messages = 0
        self.open = asyncio.Event()

    async def post(self, channel: str, body: bytes) -> PublishResult:
        """The next result, once open."""
        self.messages += 1
        await self.open.wait()
        return self.results.pop(0) if self.results else SENT


def outbox(*users: str) -> PartitionOutbox:
    """With one read sync for each of these users."""
    made = PartitionOutbox(partition=0, window=BatchWindow())
    made.add([("1-0", encode([SyncNotification(user, 1, 1, []) for user in users]))], time.monotonic(), 0.0)
    return made


async def test_drained_returns_when_nothing_is_in_flight_and_takes_nothing_more() -> None:
    """With two in flight and a third pending, which stays in the stream."""
    client = Answers()
    one = publisher({0: outbox("ann", "bob", "cat")}, client, in_flight=2)
    running = asyncio.create_task(one.run())
    try:
        while client.messages < 2:  # noqa: ASYNC110 - a stand-in sets no event
            await asyncio.sleep(0)
        draining = asyncio.create_task(one.drained(30.0))
        await asyncio.sleep(0.02)
        assert not draining.done()
        client.open.set()
        async with asyncio.timeout(5):
            await draining
        await asyncio.sleep(0.02)
        assert client.messages == 2
    finally:
        await cancel_and_wait([running])


async def test_drained_gives_up_after_its_time_and_returns_at_once_when_idle() -> None:
    client = Answers()
    one = publisher({0: outbox("ann")}, client)
    await one.drained(30.0)
    other = publisher({0: outbox("ann")}, client)
    running = asyncio.create_task(other.run())
    try:
        while not client.messages:  # noqa: ASYNC110 - as above
            await asyncio.sleep(0)
        await other.drained(0.01)
    finally:
        await cancel_and_wait([running])


@pytest.mark.parametrize("rate_limited", [True, False])
async def test_a_rate_limit_does_not_open_the_circuit_whatever_its_reason_says(rate_limited: bool) -> None:
    """A response that asks for patience is a response."""
    limited = PublishResult(outcome=Outcome.LATER, reason="429 or not", rate_limited=rate_limited)
    client = Answers(limited, limited)
    client.open.set()
    one = publisher({0: outbox("ann")}, client)
    one.circuit.threshold = 1
    running = asyncio.create_task(one.run())
    try:
        while client.messages < 1:  # noqa: ASYNC110 - as above
            await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert one.circuit.is_open is not rate_limited
    finally:
        await cancel_and_wait([running])


async def test_requeueing_waits_out_an_unavailable_queue_and_no_other_error() -> None:
    """Anything else ends the publisher, and with it the process."""
    later = PublishResult(outcome=Outcome.LATER, reason="500")
    inbox = MagicMock(delete=AsyncMock(), requeue=AsyncMock())
    inbox.requeue.side_effect = [QueueUnavailable(reason="away"), GraphUnavailable(reason="not this one")]
    client = Answers(later)
    client.open.set()
    limits = PublishLimits(in_flight=1, quick_tries=1)
    one = publisher({0: outbox("ann")}, client, inbox=inbox, limits=limits)
    with pytest.raises(ExceptionGroup) as raised:
        async with asyncio.timeout(10):
            await one.run()
    assert raised.value.subgroup(GraphUnavailable)
    assert inbox.requeue.await_count == 2


BODY = (
    b'{"type":"friend.online","eventId":"evt","ts":"2020-01-01T00:00:00.000000Z","payload":{"userId":"ann"}}'
)


class Responses:
    """What was called of a publisher's surroundings, whose origin always responds in the same way."""

    def __init__(self, result: PublishResult) -> None:
        self.client = MagicMock(post=AsyncMock(return_value=result))
        self.inbox = MagicMock(delete=AsyncMock(), requeue=AsyncMock())
        self.dead_letters = MagicMock(add_message=AsyncMock())


async def publish_one(around: Responses, *, tries: int, quick_tries: int) -> Publisher:
    """Publish one notification that was in the stream `tries` times, until its entry is deleted."""
    one = PartitionOutbox(partition=0, window=BatchWindow())
    event = Event("ann", "online", 1, 1, BODY)
    one.add([("1", encode([Notification(event, ["bob"], tries)]))], 0.0, 0.0)
    limits = PublishLimits(in_flight=1, quick_tries=quick_tries, tries=2)
    made = publisher(
        {0: one}, around.client, inbox=around.inbox, dead_letters=around.dead_letters, limits=limits
    )
    with patch("pubnub_bridge.fanout.publisher.random.uniform", lambda _low, _high: 0.0):
        running = asyncio.create_task(made.run())
        try:
            async with asyncio.timeout(5):
                while not around.inbox.delete.await_count:  # noqa: ASYNC110 - a stand-in sets no event
                    await asyncio.sleep(0.01)
        finally:
            await cancel_and_wait([running])
    return made


@pytest.mark.parametrize(("status", "opens"), [(429, False), (503, True)])
async def test_only_silence_and_server_errors_open_the_circuit(status: int, opens: bool) -> None:
    """A rate limit is a response."""
    around = Responses(classify(status, "later", None))
    made = await publish_one(around, tries=0, quick_tries=CircuitBreaker().threshold)
    assert made.circuit.is_open is opens


async def test_what_fails_is_appended_again_with_one_try_more_before_its_entry_is_deleted() -> None:
    around = Responses(classify(503, "busy", None))
    await publish_one(around, tries=0, quick_tries=2)
    (notification,) = around.inbox.requeue.await_args.args[1]
    assert (notification.tries, notification.recipients) == (1, ["bob"])
    assert around.inbox.delete.await_args.args[0] == {0: ["1"]}


async def test_after_the_last_try_the_inbox_needs_a_sync_instead_of_presence() -> None:
    around = Responses(classify(503, "busy", None))
    await publish_one(around, tries=2, quick_tries=1)
    assert around.inbox.requeue.await_args.args[1] == [SyncNotification("bob", reason="lost")]


async def test_a_message_that_pubnub_rejects_is_dead_lettered_and_not_tried_again() -> None:
    around = Responses(classify(400, "Invalid", None))
    await publish_one(around, tries=0, quick_tries=3)
    assert around.client.post.await_count == 1
    around.dead_letters.add_message.assert_awaited_once()
    around.inbox.requeue.assert_not_awaited()
