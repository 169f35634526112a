"""Several bridges on the same databases: start, stop, kill, pause. Nothing is lost, repeats do no harm."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager

from graph_service.app import open_backends
from pubnub_bridge.partitions.leases import bridge_name, owner_of
from pubnub_bridge.runtime import bridge
from pubnub_bridge.runtime.bridge import Bridge
from pubnub_bridge.runtime.context import open_context
from pubnub_bridge.runtime.startup import prepare
from pubnub_bridge.runtime.supervisor import supervise
from pubnub_bridge.settings import Settings
from tests.e2e.bridge.conftest import DEBOUNCE_SECONDS, World, eventually, until

LEASE_MILLISECONDS = 1500


@asynccontextmanager
async def owner(settings: Settings, name: str = "") -> AsyncIterator[tuple[Bridge, asyncio.Task[None]]]:
    """A bridge with a short lease, whose parts can be looked at; its task may be killed or paused."""
    async with AsyncExitStack() as stack:
        opened = await stack.enter_async_context(open_backends(settings))
        context = await stack.enter_async_context(open_context(settings, opened))
        await prepare(context)
        bridge = Bridge(context, name=name or bridge_name(), lease_milliseconds=LEASE_MILLISECONDS)

        async def drain() -> None:  # looked up late: a killed bridge does not drain
            await bridge.drain()

        task = asyncio.create_task(supervise(bridge.tasks(), drain=drain))
        try:
            yield bridge, task
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            await bridge.close()


async def flagged(world: World, user: str) -> bool:
    """Whether a user is settled online."""
    _, response = await world.call("POST", "/v1/presence:query", json={"ids": [user]})
    return bool(response["presence"][0]["online"])


async def until_flagged(world: World, user: str, online: bool = True) -> None:
    """Wait for a settled state."""

    async def reached() -> bool:
        return await flagged(world, user) is online

    await eventually(reached)


async def test_two_bridges_share_all_partitions_and_the_last_one_gets_them_all(quiet: World) -> None:
    """Each partition has one owner; a bridge that stops gives its leases back at once."""
    all_partitions = set(range(quiet.settings.partitions))
    shares = {
        name: {one for one in all_partitions if owner_of(one, ("b1", "b2")) == name} for name in ("b1", "b2")
    }
    assert all(shares.values())
    async with owner(quiet.settings, "b1") as (first, _):
        await until(lambda: first.leases.owned == all_partitions)
        async with owner(quiet.settings, "b2") as (second, _):
            await until(lambda: second.leases.owned == shares["b2"])
            await until(lambda: first.leases.owned == shares["b1"])
        await until(lambda: first.leases.owned == all_partitions)


async def test_what_a_killed_bridge_had_logged_is_committed_by_the_next(quiet: World) -> None:
    """The join is in the presence log; PubNub does not report it again."""
    await quiet.create_friends("ann", "bob")
    ann, bob = quiet.device("ann"), quiet.device("bob")
    slow = quiet.settings.model_copy(update={"debounce_online_seconds": 30.0})
    async with owner(slow) as (first, task):
        await until(lambda: len(first.leases.owned) == 4)
        ann.appear()
        bob.appear()
        await until(lambda: sum(map(len, first.registry.debouncers.values())) == 2)
        task.cancel()
        first.registry.debouncers.clear()
        await asyncio.gather(task, return_exceptions=True)
    async with owner(quiet.settings):
        await until_flagged(quiet, "ann")
        await until_flagged(quiet, "bob")
        message = await ann.receives(lambda m: "bob" in str(m["payload"]))
        assert message["type"] in {"friend.online", "friends.sync"}


async def test_a_paused_owner_that_wakes_up_late_does_no_harm(quiet: World) -> None:
    """Both commit the same; Ann sees Bob as the graph does."""
    await quiet.create_friends("ann", "bob")
    ann, bob = quiet.device("ann"), quiet.device("bob")
    async with owner(quiet.settings) as (first, _):
        await until(lambda: len(first.leases.owned) == 4)
        ann.appear()
        await until_flagged(quiet, "ann")
        asleep: Callable[[], Awaitable[None]] = lambda: asyncio.sleep(3600)  # noqa: E731
        step, first.leases.step = first.leases.step, asleep  # type: ignore[method-assign]
        await asyncio.sleep(LEASE_MILLISECONDS / 1000 + 0.5)
        async with owner(quiet.settings) as (second, _):
            await until(lambda: len(second.leases.owned) == 4)
            assert len(first.registry.debouncers) == 4
            bob.appear()
            await ann.receives(lambda m: m["type"] == "friend.online")
            await bob.leave()
            await until_flagged(quiet, "bob", online=False)
            await ann.receives(lambda m: m["type"] == "friend.offline")
            del step
        await asyncio.sleep(DEBOUNCE_SECONDS)
        last = [m for m in ann.events() if m["type"] in {"friend.online", "friend.offline"}]
        newest = max(last, key=lambda m: (m["ts"], m["payload"]["at"]))
        assert newest["type"] == "friend.offline"
        assert all(m["eventId"].startswith("evt_presence_bob_") for m in last)


async def test_a_stop_finishes_what_is_in_progress(quiet: World) -> None:
    """Within the grace; the leases are free at once."""
    task = asyncio.create_task(bridge.run(quiet.settings))
    await asyncio.sleep(1.5)
    task.cancel()
    async with asyncio.timeout(quiet.settings.grace_seconds + 3):
        await asyncio.gather(task, return_exceptions=True)
    async with owner(quiet.settings) as (next_one, _):
        await until(lambda: len(next_one.leases.owned) == 4, seconds=5.0)
