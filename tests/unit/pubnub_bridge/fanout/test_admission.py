"""Admission control, moved by hand."""

from __future__ import annotations

from pubnub_bridge.fanout.admission import Admission


def test_slow_reads_take_a_quarter_off_the_limit_and_fast_ones_add_one() -> None:
    """Never below the minimum, never above the maximum."""
    made = Admission(max_syncs=100)
    made.observe(0.2, target_seconds=0.1)
    assert made.limit == 75
    for _ in range(50):
        made.observe(0.2, target_seconds=0.1)
    assert made.limit == 10
    for _ in range(500):
        made.observe(0.05, target_seconds=0.1)
    assert made.limit == 100
