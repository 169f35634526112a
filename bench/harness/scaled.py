"""Capacity estimate: from the measured cost of a delivery to the cores for 500,000 users online. Pure.

Every line shows its formula, so that a reader can repeat it with other numbers.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pubnub_bridge.sizing.machines import PLANNED_CPU_SHARE

ORIGIN = "origin"
"""PubNub's part: measured, and not counted among the servers to operate."""


@dataclass(frozen=True, slots=True)
class Load:
    """The load to estimate."""

    online: int = 500_000
    friends: int = 750
    share: float = 0.3
    """Share of a user's friends who are online."""
    transitions: float = 556.0
    """A second: 500,000 visits of half an hour, each begun and ended."""


@dataclass(frozen=True, slots=True)
class Estimate:
    """One step of the estimate."""

    what: str
    formula: str
    value: float
    unit: str

    def row(self) -> dict[str, Any]:
        """As in the file."""
        return {"what": self.what, "reckoned": self.formula, "value": self.value, "unit": self.unit}


def cores(cpu: Mapping[str, float], load: Load | None = None) -> list[Estimate]:
    """The estimate, step by step. `cpu` is the measured milliseconds of each server for 1,000 deliveries."""
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
    needed = whole / PLANNED_CPU_SHARE
    lines += [
        Estimate("cores of all servers", f"the sum without the {ORIGIN}", whole, "cores"),
        Estimate(
            f"the same with cores {PLANNED_CPU_SHARE:.0%} busy",
            f"{whole:.2f} / {PLANNED_CPU_SHARE:g}",
            needed,
            "cores",
        ),
        Estimate(f"cores for {load.online:,} online", "rounded up", math.ceil(needed), "cores"),
    ]
    return lines
