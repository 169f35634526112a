"""The order of the doctor's checks: settings, both databases, PubNub, and on request flags against presence."""

from __future__ import annotations

import asyncio

from graph_service.app import Backends
from graph_service.errors import FriendsError
from graph_service.graph.driver import connect
from graph_service.valkey.cluster import open_valkey
from pubnub_bridge.doctor import options, pubnub, truth
from pubnub_bridge.doctor.backends import check_graph, check_queue
from pubnub_bridge.doctor.finding import Area, Finding, failed
from pubnub_bridge.runtime.context import open_context
from pubnub_bridge.settings import Settings


async def examine(settings: Settings, deep: bool) -> list[Finding]:
    """All findings. PubNub is checked only where both databases respond and keys are set."""
    graph, queue = await asyncio.gather(check_graph(settings), check_queue(settings))
    databases = [*graph, *queue]
    return [*options.check(settings), *databases, *await _check_pubnub(settings, databases, deep)]


async def _check_pubnub(settings: Settings, databases: list[Finding], deep: bool) -> list[Finding]:
    area = Area("PubNub")
    if not settings.pubnub_subscribe_key or not settings.pubnub_publish_key:
        todo = "Set PUBNUB_SUBSCRIBE_KEY, PUBNUB_PUBLISH_KEY and PUBNUB_SECRET_KEY"
        return [area.failure("keys", "not set", todo)]
    if any(one.check == "server" and failed([one]) for one in databases):
        return [
            area.warning("keys", "not checked, since a database does not respond", "See the findings above")
        ]
    try:
        return await _with_context(settings, deep)
    except FriendsError as error:
        return [area.failure("examined", str(error), "See the other findings")]


async def _with_context(settings: Settings, deep: bool) -> list[Finding]:
    """With a context opened for the doctor, whatever the state of the schema."""
    async with (
        connect(settings) as graph,
        open_valkey(settings.redis_url.get_secret_value()) as valkey,
        open_context(settings, Backends(graph=graph, valkey=valkey)) as context,
    ):
        found = await pubnub.check(context)
        if deep and not any(one.check in {"origin", "grant"} and failed([one]) for one in found):
            found += await truth.check(context)
        return found
