"""The full load is estimated from measured costs, without PubNub's part."""

from __future__ import annotations

import pytest

from bench.harness.scaled import PLANNED_CPU_SHARE, Load, cores


def test_the_cores_follow_from_the_costs() -> None:
    """125,100 deliveries a second at 2 + 6 ms for 1,000 are one core; the origin is shown and not counted."""
    lines = {line.what: line.value for line in cores({"Neo4j": 2.0, "bridge": 6.0, "origin": 100.0})}
    assert lines["deliveries"] == pytest.approx(556 * 225)
    assert lines["cores of origin"] == pytest.approx(12.51)
    assert lines["cores of all servers"] == pytest.approx(1.0008)
    assert lines[f"the same with cores {PLANNED_CPU_SHARE:.0%} busy"] == pytest.approx(
        1.0008 / PLANNED_CPU_SHARE
    )
    assert lines["cores for 500,000 online"] == 2


def test_twice_the_transitions_are_twice_the_cores() -> None:
    """The estimate is linear."""
    once, twice = (cores({"bridge": 5.0}, Load(transitions=rate)) for rate in (100.0, 200.0))
    assert twice[-3].value == pytest.approx(2 * once[-3].value)
