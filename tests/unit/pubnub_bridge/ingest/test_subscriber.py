"""While a partition's stream is full nothing more is polled for, so nothing is read that could not be kept."""

from __future__ import annotations

from typing import cast

import aiohttp
import pytest

from graph_service.model.sharding import ShardMap
from pubnub_bridge.ingest.subscriber import _WAITED_OUT, Hooks, Subscriber
from pubnub_bridge.pubnub_api.publish_client import Keyset
from pubnub_bridge.store.backpressure import StreamFull
from pubnub_bridge.store.presence_log import Cursor, PresenceLog


class Untouched:
    """An HTTP session that must not be used."""

    def get(self, *_given: object, **_more: object) -> None:
        """Used all the same."""
        raise AssertionError("it was polled")


async def test_a_full_stream_is_waited_for_before_the_poll() -> None:
    """The loop waits it out like any error, and the cursor stays where it was."""
    asked: list[int] = []

    async def room(partition: int) -> None:
        asked.append(partition)
        raise StreamFull(waiting=100, limit=100)

    hooks = Hooks(
        token=lambda: None,
        refused=lambda: None,
        caught_up=lambda _partition: None,
        doubtful=lambda _shards: None,
        now=lambda: 0,
        room=room,
    )
    keyset = Keyset(origin="127.0.0.1:1", subscribe_key="demo", publish_key="demo", tls=False, uuid="us")
    session = cast(aiohttp.ClientSession, Untouched())
    subscriber = Subscriber(session, keyset, ShardMap(4, 8), cast(PresenceLog, None), hooks)
    with pytest.raises(StreamFull):
        await subscriber.step(3, Cursor("17", 1))
    assert asked == [3]
    assert issubclass(StreamFull, _WAITED_OUT)
