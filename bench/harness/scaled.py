"""The full load by arithmetic: from what a delivery cost in a measured run to the cores for 500,000 people online.

Pure. Every line shows its sum, so that a reader can do it again with other numbers.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from pubnub_bridge.sizing.machines import BUSY

ORIGIN = "origin"
"""PubNub's part: measured beside the others, not counted among the servers to be bought."""


@dataclass(frozen=True, slots=True)
class Load:
    """The load to reckon for."""

    online: int = 500_000
    friends: int = 750
    share: float = 0.3
    """Of a user's friends, how many are online."""
    transitions: float = 556.0
    """A second: 500,000 visits of half an hour, each begun and ended."""


@dataclass(frozen=True, slots=True)
class Estimate:
    """One step of the arithmetic."""

    what: str
    formula: str
    value: float
    unit: str


def cores(cpu: Mapping[str, float], load: Load | None = None) -> list[Estimate]:
    """Line by line; `cpu` is milliseconds of each server for 1,000 deliveries, as measured."""
    load = load or Load()
    friends_online = load.friends * load.share
    deliveries = load.transitions * friends_online
    lines = [
        Estimate("friends online of a user", f"{load.friends} x {load.share:g}", friends_online, "friends"),
        Estimate("deliveries", f"{load.transitions:g} x {friends_online:g}", deliveries, "1/s"),
    ]
    whole = 0.0
    for name, each in cpu.items():
        used = deliveries / 1000 * each / 1000
        whole += used if name != ORIGIN else 0.0
        lines.append(
            Estimate(f"cores of {name}", f"{deliveries:,.0f} / 1,000 x {each:.2f} ms", used, "cores")
        )
    needed = whole / BUSY
    lines += [
        Estimate("cores of all servers", f"the sum without the {ORIGIN}", whole, "cores"),
        Estimate(f"the same with cores {BUSY:.0%} busy", f"{whole:.2f} / {BUSY:g}", needed, "cores"),
        Estimate(f"cores for {load.online:,} online", "rounded up", math.ceil(needed), "cores"),
    ]
    return lines
