"""The batch window controller: lateness in, the window of all outboxes out. The clock is a number."""

from __future__ import annotations

import asyncio

from pubnub_bridge.fanout.batch_window import BatchWindowController
from pubnub_bridge.fanout.batcher import BatchWindow
from pubnub_bridge.fanout.publisher import PartitionOutbox
from pubnub_bridge.model.notification import SyncNotification, encode


class Scene:
    """One outbox with a batch that has been due since 10."""

    def __init__(self) -> None:
        self.now = 10.0
        self.wakeup = asyncio.Event()
        window = BatchWindow(max_seconds=30.0)
        self.outbox = PartitionOutbox(partition=0, window=window)
        self.outbox.add([("1-0", encode([SyncNotification("ann", 1, 1, [])]))], self.now, 0.0)
        self.windows = BatchWindowController(
            window=window, outboxes={0: self.outbox}, wakeup=self.wakeup, clock=lambda: self.now
        )


async def test_the_window_is_twice_the_lateness_and_applies_to_what_waits_already() -> None:
    scene = Scene()
    scene.now = 12.0
    scene.windows.update()
    assert (scene.windows.seconds, scene.outbox.batcher.window) == (4.0, 4.0)
    assert scene.windows.late


async def test_a_batch_that_waited_for_the_origin_does_not_open_the_window() -> None:
    """That it could not be published is no sign of overload."""
    scene = Scene()
    scene.now = 100.0
    scene.windows.update(paused=True)
    scene.now = 100.01
    scene.windows.update()
    assert scene.windows.seconds == 0.0
    assert not scene.windows.late


async def test_a_window_that_closes_wakes_the_publisher() -> None:
    """What lingers in it is due now."""
    scene = Scene()
    scene.windows.update(min_seconds=3.0)
    assert scene.windows.seconds == 3.0
    assert not scene.wakeup.is_set()
    scene.now = 10.04
    scene.windows.update()
    assert scene.wakeup.is_set()
