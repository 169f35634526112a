"""friends-presence doctor: one look at options, engines and PubNub, each finding with what to do. Knows the order only."""

from __future__ import annotations

import asyncio

from graph_service.app import Backends
from graph_service.errors import FriendsError
from graph_service.graph.driver import connect
from graph_service.valkey.cluster import open_valkey
from pubnub_bridge.doctor import options, pubnub, truth
from pubnub_bridge.doctor.backends import look_at_graph, look_at_queue
from pubnub_bridge.doctor.finding import Area, Finding, failed
from pubnub_bridge.runtime.context import open_context
from pubnub_bridge.settings import Settings


async def examine(settings: Settings, deep: bool) -> list[Finding]:
    """Every finding. PubNub is only asked where both engines answer and keys are set."""
    backends = [
        one for some in await asyncio.gather(look_at_graph(settings), look_at_queue(settings)) for one in some
    ]
    return [*options.look(settings), *backends, *await _beyond(settings, backends, deep)]


async def _beyond(settings: Settings, backends: list[Finding], deep: bool) -> list[Finding]:
    area = Area("PubNub")
    if not settings.pubnub_subscribe_key or not settings.pubnub_publish_key:
        todo = "Set PUBNUB_SUBSCRIBE_KEY, PUBNUB_PUBLISH_KEY and PUBNUB_SECRET_KEY"
        return [area.failure("keys", "not set", todo)]
    if any(one.check == "server" and failed([one]) for one in backends):
        return [area.warning("keys", "not looked at, since an engine does not answer", "See above")]
    try:
        return await _with_side(settings, deep)
    except FriendsError as error:
        return [area.failure("examined", str(error), "See the other findings")]


async def _with_side(settings: Settings, deep: bool) -> list[Finding]:
    """On a side of its own, whatever the schema is like."""
    async with (
        connect(settings) as graph,
        open_valkey(settings.redis_url.get_secret_value()) as valkey,
        open_context(settings, Backends(graph=graph, valkey=valkey)) as context,
    ):
        found = await pubnub.look(context)
        if deep and not any(one.check in {"origin", "grant"} and failed([one]) for one in found):
            found += await truth.look(context)
        return found
