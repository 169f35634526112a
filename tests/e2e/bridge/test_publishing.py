"""Publishing when the origin fails: late messages are still sent."""

from __future__ import annotations

from local_stack.origin.faults import Fault
from tests.e2e.bridge.conftest import World, until
from tests.e2e.bridge.test_owners import owner, until_flagged


async def test_a_circuit_opened_by_the_only_batch_there_is_closes_again(quiet: World) -> None:
    """Its attempts are used up as the circuit opens, so it is enqueued again: it must be read again to be the probe."""
    await quiet.create_friends("ann", "bob")
    ann, bob = quiet.device("ann"), quiet.device("bob")
    async with owner(quiet.settings) as (bridge, _):
        await until(lambda: len(bridge.leases.owned) == 4)
        ann.appear()
        await until_flagged(quiet, "ann")
        bridge.publisher.circuit.threshold = tries = bridge.publisher.limits.quick_tries
        rules = quiet.origin.origin.keysets["demo"].faults.rules
        rules.append(Fault(kind="status", prefix="/publish/demo/demo/0/inbox.ann", times=tries))
        bob.appear()
        await ann.receives(lambda m: m["type"] == "friend.online", seconds=15.0)
        assert not rules
        assert not bridge.publisher.circuit.is_open
