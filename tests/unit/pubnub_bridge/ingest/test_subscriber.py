"""While a partition's stream is full it is not polled, so nothing is read that could not be stored."""

from __future__ import annotations

from typing import cast

import aiohttp
import pytest

from graph_service.model.sharding import ShardMap
from pubnub_bridge.ingest.subscriber import RETRIED, Subscriber
from pubnub_bridge.pubnub_api.publish_client import Keyset
from pubnub_bridge.store.backpressure import StreamFull
from pubnub_bridge.store.presence_log import Cursor, PresenceLog


class Untouched:
    """An HTTP session that must not be used."""

    def get(self, *_arguments: object, **_options: object) -> None:
        """A test that uses it fails."""
        raise AssertionError("it was polled")


async def test_a_full_stream_is_waited_for_before_the_poll() -> None:
    """The loop retries as after any error, and the cursor stays where it was."""
    asked: list[int] = []

    async def check(partition: int) -> None:
        asked.append(partition)
        raise StreamFull(waiting=100, limit=100)

    subscriber = Subscriber(
        session=cast(aiohttp.ClientSession, Untouched()),
        keyset=Keyset(origin="127.0.0.1:1", subscribe_key="demo", publish_key="demo", tls=False, uuid="us"),
        shards=ShardMap(4, 8),
        log=cast(PresenceLog, None),
        token=lambda: None,
        check_backpressure=check,
        on_denied=lambda: None,
        on_caught_up=lambda _partition: None,
        on_gap=lambda _shards: None,
        now=lambda: 0,
    )
    with pytest.raises(StreamFull):
        await subscriber.step(3, Cursor("17", 1))
    assert asked == [3]
    assert issubclass(StreamFull, RETRIED)
