"""What is rejected as invalid makes no other user wait, is a dead letter, and can be followed by its event id."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any

import structlog
from prometheus_client import REGISTRY

from graph_service.model.model import CommitResult, Flag
from pubnub_bridge.model.presence_event import PresenceEvent
from pubnub_bridge.runtime.bridge import Bridge
from pubnub_bridge.store import event_trace
from tests.e2e.bridge.conftest import World, eventually
from tests.e2e.bridge.test_owners import flagged, owner, until_flagged

TOO_LARGE = 2**70
"""A shard that no database integer can hold."""


def rejected(fault: str) -> float:
    """The counter of rejected flag writes."""
    return REGISTRY.get_sample_value("friends_flag_writes_refused_total", {"fault": fault}) or 0.0


async def test_a_change_that_the_graph_rejects_is_dead_lettered_alone(world: World) -> None:
    """Bob's row cannot be written; those of the others in his batch are, and the bridge lives on."""
    users = ["ann", "bob", "cid", "dan", "eve"]
    await world.create_friends(*users)
    context, now = world.context, world.context.clock.now()
    before = rejected("change")
    events = [
        PresenceEvent(u, True, now, TOO_LARGE if u == "bob" else context.shards.shard(u), "join")
        for u in users
    ]
    await context.presence_log.append(events)
    for user in ("ann", "cid", "dan", "eve"):
        await until_flagged(world, user)

    async def dead_lettered() -> bool:
        return await context.dead_letters.count() == 1

    await eventually(dead_lettered)
    (dead,) = await context.dead_letters.all()
    assert (dead.kind, dead.inbox, dead.event_ids) == ("change", "bob", [f"evt_presence_bob_{now}"])
    assert not await flagged(world, "bob")
    assert rejected("change") == before + 1

    async def forgotten() -> bool:
        names = [f"fp:{{{number}}}:seen" for number in range(world.settings.partitions)]
        return sum(await context.backends.valkey.lengths(names)) == 0

    await eventually(forgotten)


async def test_a_graph_that_rejects_everything_is_waited_for_and_no_change_is_blamed(quiet: World) -> None:
    """The same error for every row is the graph's fault: no dead letter, and all are committed once it is over."""
    await quiet.create_friends("ann", "bob")
    async with owner(quiet.settings) as (bridge, _):
        refusing = Refusing(bridge)
        before = rejected("graph")
        now = quiet.context.clock.now()
        await quiet.context.presence_log.append(
            [PresenceEvent(user, True, now, quiet.shards.shard(user), "join") for user in ("ann", "bob")]
        )

        async def counted() -> bool:
            return rejected("graph") > before

        await eventually(counted)
        assert await quiet.context.dead_letters.count() == 0
        refusing.stop()
        for user in ("ann", "bob"):
            await until_flagged(quiet, user)
        assert await quiet.context.dead_letters.count() == 0


class Refusing:
    """The commit of a real bridge, failing as a query does that the server does not understand."""

    def __init__(self, bridge: Bridge) -> None:
        self._flags = bridge.context.flags
        self._real = self._flags.write_flags
        self._flags.write_flags = self._fail  # type: ignore[method-assign]

    def stop(self) -> None:
        """Understood again."""
        self._flags.write_flags = self._real  # type: ignore[method-assign]

    async def _fail(self, _flags: Sequence[Flag]) -> CommitResult:
        raise ValueError("not understood")


async def test_a_recipient_whom_a_change_did_not_reach_is_in_the_change_history(world: World) -> None:
    """Bob's name makes a message that PubNub rejects: Ann is counted, the message is a dead letter."""
    await world.create_friends("ann", "bob")
    await world.graph.statement("MATCH (u:User {id: 'bob'}) SET u.name = $name", name="b" * 40_000)
    await world.online("ann")
    await world.online("bob")

    async def recorded() -> Any:
        _, why = await world.call("GET", "/v1/why?viewer=ann&friend=bob")
        return (1, 1) in [(one["recipients"], one["failed"]) for one in why["notices"]]

    await eventually(recorded)
    (row,) = await world.context.change_history.failed_recipients("bob")
    assert row[1] == "ann"
    (dead,) = await world.context.dead_letters.all()
    assert dead.event_ids == [row[0]]


async def test_one_event_can_be_followed_from_the_poll_to_the_publish(world: World) -> None:
    """With LOG_LEVEL=debug the id that PubNub's event got is in a line of each stage."""
    await world.create_friends("ann", "bob")
    (ann,) = await world.online("ann")
    logger = logging.getLogger(event_trace.NAME)
    before = structlog.get_config()
    logger.setLevel(logging.DEBUG)
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.DEBUG))
    try:
        with structlog.testing.capture_logs() as lines:
            bob = world.device("bob")
            bob.appear()
            message = await ann.receives(lambda m: m["type"] == "friend.online")

            async def acknowledged() -> bool:
                return any(
                    line["event"] == "publish.event.acknowledged" and line["inbox"] == "ann" for line in lines
                )

            await eventually(acknowledged)
    finally:
        logger.setLevel(logging.NOTSET)
        structlog.configure(**before)
    mine = [line for line in lines if line.get("event_id") == message["eventId"]]
    assert [line["event"] for line in mine] == [
        "ingest.event.accepted",
        "commit.event.committed",
        "publish.event.acknowledged",
    ]
    assert mine[1]["notified_event_id"] == message["eventId"]
    assert mine[2]["inbox"] == "ann"
