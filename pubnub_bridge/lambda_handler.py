"""Stage 3 as an AWS Lambda function: batches and publishes the notifications of an SQS queue, which a bridge fills.

Settings come from the environment as everywhere, QUEUE_URL among them. Set on the event source: batch size 10, no batch
window, *report batch item failures*. A warm function reuses its connections. Records that are not published before
Lambda's deadline are reported as failed, and SQS delivers them again.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Any, Protocol

from graph_service.app import open_backends
from graph_service.concurrency.cancellation import cancel_and_wait
from graph_service.settings import load
from pubnub_bridge.fanout.sqs_queue import BadQueue, Received, SqsQueue
from pubnub_bridge.fanout.sqs_worker import SqsWorker
from pubnub_bridge.fanout.sync_loader import SyncLoader
from pubnub_bridge.pubnub_api.publish_client import PublishClient
from pubnub_bridge.runtime.bridge import batch_window, limits, ways
from pubnub_bridge.runtime.context import open_context
from pubnub_bridge.runtime.startup import prepare
from pubnub_bridge.settings import Settings
from pubnub_bridge.store.inbox_streams import InboxStreams

MARGIN_SECONDS = 2.0
"""Before Lambda's deadline: what is not published by then is reported as failed."""


class Context(Protocol):
    """The part of Lambda's context that is used."""

    def get_remaining_time_in_millis(self) -> int:
        """Time until Lambda stops the function."""


class LambdaQueue:
    """A `NotificationQueue` over one Lambda event: SQS deletes the records that are not reported as failed."""

    def __init__(self, *, queue: SqsQueue) -> None:
        self._queue = queue
        self._unfinished: set[str] = set()
        self._changed = asyncio.Event()

    def expect(self, ids: Sequence[str]) -> None:
        """Records with these ids are to be published."""
        self._unfinished.update(ids)

    async def append(self, entries: Sequence[tuple[int, bytes]]) -> None:
        """What could not be published goes to the end of the SQS queue."""
        await self._queue.append(entries)

    async def delete(self, entries: Mapping[int, Sequence[str]]) -> None:
        """Published, or appended again."""
        for ids in entries.values():
            self._unfinished.difference_update(ids)
        self._changed.set()

    async def unfinished(self, ids: Sequence[str], seconds: float) -> list[str]:
        """The ids that are not finished after `seconds`, in their order."""
        with suppress(TimeoutError):
            async with asyncio.timeout(max(0.0, seconds)):
                while self._unfinished.intersection(ids):
                    self._changed.clear()
                    await self._changed.wait()
        return [one for one in ids if one in self._unfinished]


class Function:
    """One warm function: backends, PubNub clients and a worker that runs during its events."""

    def __init__(self, *, worker: SqsWorker, queue: LambdaQueue) -> None:
        self._worker = worker
        self._queue = queue

    @classmethod
    @asynccontextmanager
    async def open(cls, settings: Settings) -> AsyncIterator[Function]:
        """Opens backends, context and queue. Raises as `pubnub_bridge.runtime.bridge.run`."""
        async with open_backends(settings) as opened, open_context(settings, opened) as context:
            if context.notification_queue is None:
                raise BadQueue(url="", reason="a function needs the queue that Lambda reads for it")
            await prepare(context)
            pool = PublishClient(
                keyset=context.keyset,
                token=context.tokens.server_token,
                pipeline_depth=settings.publish_pipeline,
            )
            queue = LambdaQueue(queue=context.notification_queue)
            inbox = InboxStreams(valkey=opened.valkey, partition=context.shards.partition, queue=queue)
            how = ways(context, pool, SyncLoader(context.flags, context.watermark))
            worker = SqsWorker(settings.partitions, how, inbox, limits(settings), batch_window(settings))
            running = (worker.publish.run(), context.tokens.run(), pool.connections.watch())
            tasks = [asyncio.create_task(one) for one in running]
            try:
                yield cls(worker=worker, queue=queue)
            finally:
                await cancel_and_wait(tasks)
                pool.connections.close()

    async def handle(self, event: Mapping[str, Any], seconds: float) -> dict[str, Any]:
        """Publish an event's records for at most `seconds`; returns those that SQS must deliver again."""
        received = [
            Received(int(one["attributes"]["MessageGroupId"]), one["messageId"], one["body"].encode())
            for one in event["Records"]
        ]
        ids = [one.id for one in received]
        self._queue.expect(ids)
        self._worker.take(received)
        failed = await self._queue.unfinished(ids, seconds)
        return {"batchItemFailures": [{"itemIdentifier": one} for one in failed]}


@dataclass(frozen=True, kw_only=True)
class _Warm:
    runner: asyncio.Runner
    function: Function
    exits: AsyncExitStack


_warm: list[_Warm] = []


def handler(event: Mapping[str, Any], context: Context) -> dict[str, Any]:
    """Lambda's entry: ``pubnub_bridge.lambda_handler.handler``."""
    if not _warm:
        _warm.append(_start())
    one = _warm[0]
    return one.runner.run(
        one.function.handle(event, context.get_remaining_time_in_millis() / 1000 - MARGIN_SECONDS)
    )


def close() -> None:
    """Close a warm function, for tests; Lambda freezes and stops processes without notice."""
    while _warm:
        one = _warm.pop()
        one.runner.run(one.exits.aclose())
        one.runner.close()


def _start() -> _Warm:
    runner, exits = asyncio.Runner(), AsyncExitStack()
    function = runner.run(exits.enter_async_context(Function.open(load(Settings))))
    return _Warm(runner=runner, function=function, exits=exits)
