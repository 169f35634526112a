"""Rows 9 and 10 of the walk as an AWS Lambda function on the SQS queue of notices; the bridge does the rows before.

Options come from the environment as everywhere, QUEUE_URL among them. Set on the event source: batch size 10, no batch
window, *report batch item failures*. A function that stays warm keeps its connections. Knows Lambda's shapes only.
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
"""Seconds before Lambda's deadline at which what is not finished is given back."""


class Context(Protocol):
    """What this reads of Lambda's context."""

    def get_remaining_time_in_millis(self) -> int:
        """Until Lambda ends the function."""


class LambdaQueue:
    """A `NotificationQueue` of what Lambda handed over: Lambda itself deletes what is not reported as failed."""

    def __init__(self, queue: SqsQueue) -> None:
        self._queue = queue
        self._open: set[str] = set()
        self._changed = asyncio.Event()

    def expect(self, ids: Sequence[str]) -> None:
        """These are to be finished."""
        self._open.update(ids)

    async def append(self, entries: Sequence[tuple[int, bytes]]) -> None:
        """What could not be published goes to the end of the queue itself."""
        await self._queue.append(entries)

    async def delete(self, entries: Mapping[int, Sequence[str]]) -> None:
        """Finished."""
        for ids in entries.values():
            self._open.difference_update(ids)
        self._changed.set()

    async def unfinished(self, ids: Sequence[str], seconds: float) -> list[str]:
        """Which of these are not finished after so long, in their order."""
        with suppress(TimeoutError):
            async with asyncio.timeout(max(0.0, seconds)):
                while self._open.intersection(ids):
                    self._changed.clear()
                    await self._changed.wait()
        return [one for one in ids if one in self._open]


class Function:
    """One warm function."""

    def __init__(self, worker: SqsWorker, handed: LambdaQueue) -> None:
        self._worker = worker
        self._handed = handed

    @classmethod
    @asynccontextmanager
    async def open(cls, settings: Settings) -> AsyncIterator[Function]:
        """Opens engines, PubNub's side and the queue. Raises as `pubnub_bridge.runtime.bridge.run`."""
        async with open_backends(settings) as opened, open_context(settings, opened) as context:
            if context.notification_queue is None:
                raise BadQueue(url="", reason="a function needs the queue that Lambda reads for it")
            await prepare(context)
            pool = PublishClient(
                keyset=context.keyset,
                token=context.tokens.server_token,
                pipeline_depth=settings.publish_pipeline,
            )
            handed = LambdaQueue(queue=context.notification_queue)
            inbox = InboxStreams(valkey=opened.valkey, partition=context.shards.partition, queue=handed)
            how = ways(context, pool, SyncLoader(context.flags, context.watermark))
            worker = SqsWorker(settings.partitions, how, inbox, limits(settings), batch_window(settings))
            running = (worker.publish.run(), context.tokens.run(), pool.connections.watch())
            tasks = [asyncio.create_task(one) for one in running]
            try:
                yield cls(worker, handed)
            finally:
                await cancel_and_wait(tasks)
                pool.connections.close()

    async def handled(self, event: Mapping[str, Any], seconds: float) -> dict[str, Any]:
        """Publishes an event's records; names those that SQS must hand out again."""
        received = [
            Received(int(one["attributes"]["MessageGroupId"]), one["messageId"], one["body"].encode())
            for one in event["Records"]
        ]
        ids = [one.id for one in received]
        self._handed.expect(ids)
        self._worker.take(received)
        failed = await self._handed.unfinished(ids, seconds)
        return {"batchItemFailures": [{"itemIdentifier": one} for one in failed]}


@dataclass(frozen=True)
class _Warm:
    runner: asyncio.Runner
    function: Function
    exits: AsyncExitStack


_warm: list[_Warm] = []


def handler(event: Mapping[str, Any], context: Context) -> dict[str, Any]:
    """Lambda's entry: ``pubnub_bridge.lambda_handler.handler``."""
    if not _warm:
        _warm.append(_started())
    one = _warm[0]
    return one.runner.run(
        one.function.handled(event, context.get_remaining_time_in_millis() / 1000 - MARGIN_SECONDS)
    )


def close() -> None:
    """Ends a warm function; Lambda itself freezes and ends processes without a word."""
    while _warm:
        one = _warm.pop()
        one.runner.run(one.exits.aclose())
        one.runner.close()


def _started() -> _Warm:
    runner, exits = asyncio.Runner(), AsyncExitStack()
    return _Warm(runner, runner.run(exits.enter_async_context(Function.open(load(Settings)))), exits)
