"""The share of a core that a process used, with times passed in."""

from __future__ import annotations

from pubnub_bridge.observe.cpu_load import CpuLoad


def test_the_share_is_that_of_the_last_interval() -> None:
    """Neither of one moment, nor of all the time since the start."""
    busy = CpuLoad()
    busy.share(now=100.0, used=40.0)
    assert round(busy.share(now=101.0, used=40.8), 3) == 0.8
    assert round(busy.share(now=101.5, used=40.8), 3) == 0.8
    assert round(busy.share(now=103.0, used=41.0), 3) == 0.1


def test_a_long_pause_is_averaged() -> None:
    """The first reading after it covers all of it."""
    busy = CpuLoad()
    busy.share(now=0.0, used=0.0)
    assert busy.share(now=100.0, used=1.0) == 0.01
