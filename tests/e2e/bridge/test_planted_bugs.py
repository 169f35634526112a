"""Four planted bugs that make presence wrong: the judge of ``make chaos`` finds each, and nothing without them."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from chaos import judge
from chaos.judge import ClientRecord, Row
from chaos.planted import BUGS, planted
from graph_service.friends.presence_flags import Flags
from graph_service.model.model import Flag
from local_stack.origin.faults import Fault
from pubnub_bridge.model.presence_event import PresenceEvent
from pubnub_bridge.runtime.bridge import Bridge
from tests.e2e.bridge.conftest import Device, World, eventually, until
from tests.e2e.bridge.test_churn import kill
from tests.e2e.bridge.test_owners import owner, until_flagged

pytestmark = pytest.mark.faults

Scene = Callable[[World], Awaitable[None]]


async def wrong(world: World) -> list[str]:
    """What the judge finds now."""
    rows = await world.graph.statement(
        "MATCH (u:User) RETURN u.id AS id, u:Online AS online, [(u)-[:FRIEND]-(f) | f.id] AS friends"
    )
    graph = {r["id"]: Row(r["online"], 0, invisible=False, friends=frozenset(r["friends"])) for r in rows}
    presence = world.origin.origin.keysets["demo"].presence
    here = {user for s in range(world.shards.shards) for user in presence.here(world.shards.channel(s))}
    heard = [ClientRecord(d.user, d.user in here, d.listener.messages) for d in world.devices]
    return judge.wrong_now(heard, graph, here) + judge.disordered(heard, set())


def owned(bridge: Bridge, world: World) -> bool:
    """Whether it has everything."""
    return len(bridge.leases.owned) == world.settings.partitions


async def lost_with_the_process(world: World) -> None:
    """A bridge dies while its publishes are under way; the next one finds what stands in the streams."""
    ann, bob = world.device("ann"), world.device("bob")
    async with owner(world.settings) as (first, task):
        await until(lambda: owned(first, world))
        ann.appear()
        await until_flagged(world, "ann")
        await both_syncs(ann)
        stuck = asyncio.Event()

        async def post(_channel: str, _body: bytes) -> Any:
            stuck.set()
            await asyncio.Event().wait()

        first.publish_client.post = post  # type: ignore[method-assign]
        bob.appear()
        await asyncio.wait_for(stuck.wait(), 20)
        await until_flagged(world, "bob")
        await until_empty(world, "seen")  # else the next owner would find Bob's event there
        with suppress(TimeoutError):  # what is deleted too early is deleted by then
            await until_empty(world, "inbox", seconds=1.0)
        kill(first, task)
    async with owner(world.settings) as (second, _):
        await until(lambda: owned(second, world))
        await nothing_pending(world)


async def arrived_together(world: World) -> None:
    """Two friends are committed in one batch: each must be in what is read for the other."""
    ann, bob = world.device("ann"), world.device("bob")
    keyset = world.origin.origin.keysets["demo"]
    async with owner(world.settings) as (bridge, _):
        await until(lambda: owned(bridge, world))
        await no_repairs(bridge)
        # A partition begins to commit when its first poll is answered: both must have begun, or it is two batches.
        await until(
            lambda: all(
                one.begins_at <= bridge.context.clock.now() for one in bridge.registry.debouncers.values()
            )
        )
        # Their own joins are lost, so that both can be reported at one moment.
        keyset.faults.rules.append(Fault(kind="lose", prefix="presence."))
        ann.appear()
        bob.appear()
        presence = keyset.presence
        await until(lambda: all(d.user in presence.here(d.channel) for d in (ann, bob)))
        at = bridge.context.clock.now()
        shard = world.shards.shard
        debouncers = bridge.registry.debouncers.values()
        # One batch, however long a loaded machine takes between reading the two.
        for debouncer in debouncers:
            debouncer.begin_at(at + 3_600_000)
        await bridge.context.presence_log.append(
            [PresenceEvent(u, True, at, shard(u), "join") for u in ("ann", "bob")]
        )
        await until(lambda: sum(map(len, debouncers)) == 2)
        # The joins' own syncs are read before the commit, as ever: later ones would show what the bug hides.
        await until(
            lambda: all(any(m["type"] == "friends.sync" for m in d.listener.messages) for d in (ann, bob))
        )
        for debouncer in debouncers:
            debouncer.begin_at(at)
        bridge.registry.commit_wakeup.set()
        await until_flagged(world, "ann")
        await until_flagged(world, "bob")
        await nothing_pending(world)


async def no_repairs(bridge: Bridge) -> None:
    """Reconciling, as a new owner does, would report who is present a second time, dated back: each in a batch alone."""

    async def nothing(_shard: int) -> int:
        return 0

    bridge.reconciler.shard = nothing  # type: ignore[method-assign]
    await until(lambda: bridge.reconciler.idle)


async def a_flap_repeated(world: World) -> None:
    """Bob flaps; another bridge takes over; then PubNub repeats the leave of the flap, which is older than his return."""
    ann, bob = world.device("ann"), world.device("bob")
    leave: list[PresenceEvent] = []
    async with owner(world.settings) as (first, _):
        await until(lambda: owned(first, world))
        ann.appear()
        bob.appear()
        await until_flagged(world, "bob")
        real = first.context.presence_log.append_with_cursor

        async def follow(partition: int, seen: Any, cursor: Any) -> None:
            leave.extend(one for one in seen if one.reason == "leave")
            await real(partition, seen, cursor)

        first.context.presence_log.append_with_cursor = follow  # type: ignore[method-assign]
        await bob.leave()
        await until(lambda: bool(leave))
        bob.appear()
        await until(
            lambda: (
                len(first.registry.debouncers) == 4 and not any(map(len, first.registry.debouncers.values()))
            )
        )
        await nothing_pending(world)
    no_repairs = world.settings.model_copy(update={"verify_leaves": False})
    async with owner(no_repairs) as (second, _):
        second.reconciler.ask = lambda _shards: None  # type: ignore[method-assign]
        await until(lambda: owned(second, world))
        await second.context.presence_log.append(leave[:1])
        await nothing_pending(world)
        await until(lambda: not any(map(len, second.registry.debouncers.values())))
        await nothing_pending(world)


async def overtaken(world: World) -> None:
    """Between a bridge's commit and its read another one commits the next state of the same user."""
    ann, bob = world.device("ann"), world.device("bob")
    async with owner(world.settings) as (bridge, _):
        await until(lambda: owned(bridge, world))
        ann.appear()
        await until_flagged(world, "ann")
        real, others = bridge.context.flags.write_flags, Flags(graph=world.graph)

        async def write_flags(flags: Any) -> Any:
            result = await real(flags)
            gone = [Flag(f.user, False, f.at + 1, f.shard) for f in flags if f.user == "bob" and f.online]
            if gone:
                world.origin.origin.keysets["demo"].presence.leave("bob", [bob.channel], 0.0)
                await others.write_flags(gone)
            return result

        bridge.context.flags.write_flags = write_flags  # type: ignore[method-assign]
        bob.appear()
        await ann.receives(lambda m: m["payload"].get("userId") == "bob")
        await nothing_pending(world)


async def both_syncs(device: Device) -> None:
    """Both arrived: the join's and the commit's."""
    await until(lambda: sum(m["type"] == "friends.sync" for m in device.listener.messages) >= 2)


async def until_empty(world: World, *names: str, seconds: float = 20.0) -> None:
    """No partition has an entry in these streams."""

    async def empty() -> bool:
        keys = [f"fp:{{{p}}}:{name}" for p in range(world.settings.partitions) for name in names]
        return not any(await world.context.backends.valkey.lengths(keys))

    await eventually(empty, seconds)


async def nothing_pending(world: World) -> None:
    """The streams are empty: all is committed and published, as far as it ever will be."""
    # A planted bug may leave something behind.
    with suppress(TimeoutError):
        await until_empty(world, "seen", "inbox", seconds=4.0)


SCENES: dict[str, Scene] = {
    "delete before publish": lost_with_the_process,
    "read before commit": arrived_together,
    "flap not written": a_flap_repeated,
    "state of the event": overtaken,
}


async def right(world: World, seconds: float) -> bool:
    """Whether the judge finds nothing wrong at some moment from now on."""

    async def nothing_wrong() -> bool:
        return not await wrong(world)

    try:
        await eventually(nothing_wrong, seconds)
    except TimeoutError:
        return False
    return True


@pytest.mark.parametrize("bug", BUGS)
async def test_the_judge_sees_a_planted_bug(quiet: World, bug: str) -> None:
    """What it leaves behind stays wrong."""
    await quiet.create_friends("ann", "bob")
    with planted(bug):
        await SCENES[bug](quiet)
    assert not await right(quiet, 1.5), [(one.user, one.listener.messages) for one in quiet.devices]


@pytest.mark.parametrize("bug", BUGS)
async def test_the_same_scene_is_harmless_without_the_bug(quiet: World, bug: str) -> None:
    """So it is the bug that is seen."""
    await quiet.create_friends("ann", "bob")
    await SCENES[bug](quiet)
    assert await right(quiet, 10.0), await wrong(quiet)


def test_the_judge_shares_no_code_with_the_bridge() -> None:
    """Only the two files that must know it import it."""
    folder = Path(__file__).parents[3] / "chaos"
    knowing = {
        file.name
        for file in folder.glob("*.py")
        if "pubnub_bridge import" in file.read_text() or "from pubnub_bridge" in file.read_text()
    }
    assert knowing == {"planted.py", "bridge.py"}
