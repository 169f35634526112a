"""One simulated process: the product's own composition over databases in memory. The only file that builds the product.

A bridge is the real `Bridge` with all its tasks; an API calls the product's own use cases and the webhook's handler.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Callable, Coroutine, Iterator, Mapping
from contextlib import contextmanager
from functools import cache, partial
from types import SimpleNamespace
from typing import Any, cast
from unittest.mock import patch

import structlog

from graph_service.api.concurrency_limits import SLOT
from graph_service.app import Backends
from graph_service.friends.friends import Friends
from graph_service.model.sharding import ShardMap
from pubnub_bridge.api import routes
from pubnub_bridge.fanout.outbox_relay import set_visibility
from pubnub_bridge.model import encoding, notification
from pubnub_bridge.runtime import bridge
from pubnub_bridge.runtime.context import CONTEXT, BridgeContext, build_context, keyset
from pubnub_bridge.runtime.startup import wait_until_prepared
from pubnub_bridge.runtime.supervisor import supervise
from pubnub_bridge.settings import Settings
from pubnub_bridge.store import keys, presence_log
from tests.simulation.gates import Gates
from tests.simulation.graph import GraphModel, GraphPort
from tests.simulation.loop import Life, ScriptedLoop
from tests.simulation.pubnub import PubNub, PubNubPort
from tests.simulation.store import Store, ValkeyPort

DEBOUNCE = 2000
"""Milliseconds that a state must last."""
STORM_DEBOUNCE = 9000
"""Milliseconds that a leave waits at most in a storm."""
SMALL_PART = 512 + 1
"""Bytes of a sync's part: one friend a part."""
presence_events = presence_log.decode
"""What an entry of the presence log says."""
notifications = notification.decode
"""What an entry of an inbox stream says."""


@cache
def options(partitions: int = 1, storms: bool = False) -> Settings:
    """Short debounce times, two publishes at once; two of three users at once are a storm."""
    seconds = DEBOUNCE / 1000
    made = Settings(
        neo4j_password="unused",
        pubnub_subscribe_key="demo",
        pubnub_publish_key="demo",
        pubnub_origin="pubnub",
        pubnub_tls=False,
        access_manager=False,
        app_context="off",
        events_url="http://backend/events",
        events_secret="a secret of at least thirty-two bytes",
        debounce_online_seconds=seconds,
        debounce_leave_seconds=seconds,
        debounce_timeout_seconds=seconds,
        partitions=partitions,
        presence_shards=partitions,
        publish_in_flight=2,
        storm_protection=storms,
        storm_debounce_seconds=STORM_DEBOUNCE / 1000,
        grace_seconds=30,
    )
    return made.model_copy(update={"storm_min_users": 2})


class Surroundings:
    """Everything outside of a process."""

    clock_is_virtual = True
    """Whether the graph's clock is the loop's, so that a stamp says what stood there when it was read."""

    def __init__(self, loop: ScriptedLoop, users: tuple[str, ...], settings: Settings) -> None:
        self.loop = loop
        self.settings = settings
        self.shards: ShardMap = settings.shard_map()
        self.gates = Gates()
        self.store = Store(lambda: loop.milliseconds)
        self.graph = GraphModel(users, lambda: loop.milliseconds)
        self.pubnub = PubNub(self.shards, lambda: loop.milliseconds, dict.fromkeys(users, False))
        self.receive: Callable[[str], int] = lambda _body: 200

    def graph_port(self, life: Life) -> Any:
        """One process's connection to the graph."""
        return GraphPort(self.graph, self.gates, life)


class Process:
    """One life over these surroundings."""

    def __init__(self, around: Surroundings, name: str) -> None:
        self.around = around
        self.name = name
        self.life = Life(name)
        self.port = PubNubPort(around.pubnub, around.gates, self.life)
        self.port.receive = lambda body: self.around.receive(body)  # noqa: PLW0108 - it is set later
        self.valkey = ValkeyPort(around.store, around.gates, self.life)
        self.graph = around.graph_port(self.life)
        self.bridge: bridge.Bridge | None = None
        self.owned_at_close = 0
        self.stopping = False
        self.main: asyncio.Task[None] | None = None

    def context(self) -> BridgeContext:
        """What HTTP routes and the bridge share, over what is in memory."""
        settings = self.around.settings
        return build_context(
            settings=settings,
            backends=Backends(graph=cast(Any, self.graph), valkey=cast(Any, self.valkey)),
            keys=keyset(settings),
            session=cast(Any, SimpleNamespace(get=self.port.get, post=self.port.post_events)),
            pubnub=cast(Any, self.port),
            queue=None,
        )

    def start(self) -> None:
        """Run the bridge until it is stopped."""
        self.main = self.around.loop.spawn(self.life, self._run())

    async def _run(self) -> None:
        """As `bridge.on`, without the scheduler, whose jobs the script starts; named after the process."""
        context = self.context()
        await wait_until_prepared(context)
        with patch.object(bridge, "PublishClient", lambda **_how: InMemoryPublishClient(self.port)):
            self.bridge = bridge.Bridge(context, name=self.name)
        try:
            await supervise(self.bridge.tasks(), drain=self.bridge.drain)
        finally:
            self.owned_at_close = len(self.owned)
            await self.bridge.close()

    def kill(self) -> None:
        """Nothing of it runs any more; its leases have run out."""
        self.life.alive = False
        self.around.store.forget_process(self.name)

    def stop(self) -> None:
        """Ask it to end."""
        self.stopping = True
        if self.main is not None:
            self.main.cancel()

    @property
    def ended(self) -> bool:
        """Whether it has ended, killed or not."""
        return not self.life.alive or (self.main is not None and self.main.done())

    @property
    def error(self) -> BaseException | None:
        """What ended it, where no stop was requested."""
        if self.main is None or not self.main.done() or self.main.cancelled():
            return None
        return self.main.exception()

    # What a script looks at, or changes, inside a running bridge

    @property
    def owned(self) -> set[int]:
        """The partitions it owns."""
        return set(self.bridge.leases.owned) if self.bridge else set()

    @property
    def pending(self) -> int:
        """Changes that are not committed yet."""
        return sum(map(len, self.bridge.registry.debouncers.values())) if self.bridge else 0

    @property
    def storms(self) -> bool:
        """Whether a storm is on."""
        return bool(self.bridge and self.bridge.storms.active)

    def admit(self, syncs: int) -> None:
        """So many syncs may be read at once in a storm."""
        if self.bridge:
            self.bridge.admission.limit = syncs

    def reconcile_all(self) -> None:
        """The job that compares all shards now and then."""
        if self.bridge and not self.ended:
            job = next(one for one in self.bridge.jobs() if one.name == "reconcile")
            self.around.loop.spawn(self.life, cast("Coroutine[Any, Any, object]", job.call()))


class Api(Process):
    """A process that serves HTTP; its calls are the product's use cases."""

    def call(self, coro: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
        """One call."""
        return self.around.loop.spawn(self.life, coro)

    async def ask_sync(self, user: str) -> None:
        """POST /v1/sync."""
        context = self.context()
        await context.backpressure.check([keys.inbox(context.shards.partition(user))])
        await context.inbox_streams.ask(user)

    async def befriend(self, a: str, b: str) -> None:
        """Asked by one, accepted by the other."""
        friends = self._friends()
        await friends.ask(a, b)
        await friends.ask(b, a)

    async def unfriend(self, a: str, b: str) -> None:
        """DELETE /v1/friends."""
        await self._friends().remove(a, b)

    async def block(self, a: str, b: str) -> None:
        """PUT /v1/blocks."""
        await self._friends().block(a, b)

    async def unblock(self, a: str, b: str) -> None:
        """DELETE /v1/blocks."""
        await self._friends().unblock(a, b)

    async def hide(self, user: str, invisible: bool) -> None:
        """PUT /v1/me/visibility."""
        context = self.context()
        await set_visibility(context.flags, context.backends.valkey, user, invisible)

    async def webhook(self, body: Any) -> int:
        """POST /webhooks/presence; the number of events accepted."""
        text = json.dumps(body).encode()

        class Slot:
            async def read_body(self, _request: Any, _most: int) -> bytes:
                return text

        class Request(dict[Any, Any]):
            app: Mapping[Any, Any]

        request = Request({SLOT: Slot()})
        request.app = {CONTEXT: self.context()}
        return (await routes.presence_webhook(cast(Any, request))).accepted

    def _friends(self) -> Friends:
        async def changed(_a: str, _b: str) -> None:
            await self.valkey.publish_wakeup(keys.WAKEUP_CHANNEL)

        return Friends(graph=cast(Any, self.graph), changed=changed)


class InMemoryPublishClient:
    """Publishes without HTTP."""

    def __init__(self, port: PubNubPort) -> None:
        self.connections = SimpleNamespace(watch=_never, close=lambda: None)
        self.post = port.publish


async def _never() -> None:
    await asyncio.get_running_loop().create_future()


@contextmanager
def composed() -> Iterator[None]:
    """Constants of a small world; and the product logs nothing."""
    config = structlog.get_config()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    with (
        patch.object(bridge, "STORM_MIN_SHARE", 0.5),
        patch.object(bridge, "STORM_DETECTION_SECONDS", 4.0),
        patch.object(bridge, "PUBLISH_MAX_ATTEMPTS", 2),
        patch.object(encoding, "sync", partial(encoding.sync, max_bytes=SMALL_PART)),
    ):
        try:
            yield
        finally:
            structlog.configure(**config)
