"""Publishing: what an answer means for the circuit, and what is given up when."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Any
from unittest.mock import AsyncMock, MagicMock, patch

import pytest

from pubnub_bridge.fanout.batcher import BatchWindow
from pubnub_bridge.model.notification import Event, Notification, SyncNotification, decode, encode
from pubnub_bridge.pubnub_api.publish_client import PublishResult, judged
from pubnub_bridge.fanout.publisher import PublishLimits, PartitionOutbox, Publisher, PublisherParts

BODY = (
    b'{"type":"friend.online","eventId":"evt","ts":"2020-01-01T00:00:00.000000Z","payload":{"userId":"ann"}}'
)


def ways(answer: PublishResult) -> Any:
    """A PubNub that always gives this answer."""
    made = MagicMock(spec=PublisherParts)
    made.post.post = AsyncMock(return_value=answer)
    made.inbox.requeue, made.inbox.delete, made.failed = AsyncMock(), AsyncMock(), AsyncMock()
    made.dead.add_message = AsyncMock()
    return made


async def published(around: Any, tries: int, enough: int) -> Publisher:
    """Publish one notification until that many calls were made."""
    outbox = PartitionOutbox(0, BatchWindow())
    outbox.add([("1", encode([Notification(Event("ann", "online", 1, 1, BODY), ["bob"], tries)]))], 0.0, 0.0)
    publish = Publisher({0: outbox}, around, PublishLimits(in_flight=1, quick_tries=enough, tries=2))
    with patch("pubnub_bridge.fanout.publisher.random.uniform", lambda _low, _high: 0.0):
        task = asyncio.create_task(publish.run())
        with suppress(TimeoutError):
            async with asyncio.timeout(5):
                while not around.inbox.delete.await_count:  # noqa: ASYNC110 - it sleeps as well
                    await asyncio.sleep(0.01)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    return publish


@pytest.mark.parametrize(("status", "open_"), [(429, False), (503, True)])
async def test_only_silence_and_server_errors_count_against_the_origin(status: int, open_: bool) -> None:
    """Too many calls is an answer."""
    around = ways(judged(status, "later", None))
    publish = Publisher({}, around, PublishLimits(quick_tries=1))
    for _ in range(25):
        publish._failed(await around.post.post("inbox.bob", BODY))
    assert publish.circuit.is_open is open_


async def test_what_fails_is_appended_again_with_one_try_more() -> None:
    """Before its entry is deleted."""
    around = ways(judged(503, "busy", None))
    await published(around, tries=0, enough=2)
    (notice,) = around.inbox.requeue.await_args.args[1]
    assert (notice.tries, notice.recipients) == (1, ["bob"])
    assert around.inbox.delete.await_args.args[0] == {0: ["1"]}


async def test_after_the_last_try_the_inbox_is_owed_a_sync() -> None:
    """Presence is in a sync, so trying for ever is not needed."""
    around = ways(judged(503, "busy", None))
    await published(around, tries=2, enough=1)
    assert around.inbox.requeue.await_args.args[1] == [SyncNotification("bob", reason="lost")]
    assert decode(encode(around.inbox.requeue.await_args.args[1])) == [SyncNotification("bob", reason="lost")]


async def test_a_refused_message_is_kept_and_not_tried_again() -> None:
    """It would never be accepted."""
    around = ways(judged(400, "Invalid", None))
    await published(around, tries=0, enough=3)
    assert around.post.post.await_count == 1
    around.dead.add_message.assert_awaited_once()
    around.inbox.requeue.assert_not_awaited()
