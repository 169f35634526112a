"""How far behind the bridges are: one row a partition in Valkey, written by its owner. Knows keys and ages only.

A partition without a fresh row has no owner. What is late is told with the count of those online, so that clients
can show presence as unknown instead of as wrong.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from graph_service.valkey.client import Valkey
from pubnub_bridge.store import keys


@dataclass(frozen=True, slots=True)
class Ages:
    """How long the oldest of each kind has waited, in seconds."""

    debounce_lag_seconds: float
    publish_lag_seconds: float
    storm: str | None = None
    """Why many of those shown online may be gone."""


class Health:
    """Rows of all partitions."""

    def __init__(self, valkey: Valkey, partitions: int, valid_for: float) -> None:
        self._valkey = valkey
        self._partitions = partitions
        self._valid_for = valid_for

    async def write(self, ages: Mapping[int, Ages]) -> None:
        """Write the rows of the owned partitions; they are good for as long as a count is."""
        for partition, age in ages.items():
            row = json.dumps(
                [round(age.debounce_lag_seconds, 1), round(age.publish_lag_seconds, 1), age.storm]
            ).encode()
            await self._valkey.put(keys.health(partition), row, self._valid_for)

    async def late(self) -> str | None:
        """Why presence cannot be trusted now, or None."""
        rows: Sequence[bytes | None] = [
            await self._valkey.get(keys.health(partition)) for partition in range(self._partitions)
        ]
        without = sum(row is None for row in rows)
        if without:
            return f"{without} of {self._partitions} partitions have no bridge"
        ages = [json.loads(row) for row in rows if row is not None]
        settle, notice = max(age[0] for age in ages), max(age[1] for age in ages)
        if settle > self._valid_for:
            return f"changes wait {settle:.0f} s to be settled"
        if notice > self._valid_for:
            return f"notices wait {notice:.0f} s to be sent"
        return next((age[2] for age in ages if len(age) > 2 and age[2]), None)


def entry_age(entry: str | None, now: float | None = None) -> float:
    """Seconds since an entry was appended, by its id; 0 for none."""
    if entry is None:
        return 0.0
    return max(0.0, (now or time.time()) - int(entry.partition("-")[0]) / 1000)
