"""Health: how far behind the owner of each partition is, as one row a partition that expires.

A partition without a row has no owner. What is late is published with the count of online users, so that clients can
show presence as unknown instead of as wrong.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from graph_service.valkey.client import Valkey
from pubnub_bridge.store import keys


@dataclass(frozen=True, slots=True, kw_only=True)
class Ages:
    """How long the oldest change waits for its commit, and the oldest notification for its publish."""

    debounce_lag_seconds: float
    publish_lag_seconds: float
    storm: str | None = None
    """Why many of the users shown online may be offline."""


class Health:
    """The rows of all partitions."""

    def __init__(self, *, valkey: Valkey, partitions: int, valid_for_seconds: float) -> None:
        self._valkey = valkey
        self._partitions = partitions
        self._valid_for_seconds = valid_for_seconds

    async def write(self, ages: Mapping[int, Ages]) -> None:
        """Write the rows of the owned partitions; they are valid for as long as a count is."""
        for partition, age in ages.items():
            row = json.dumps(
                [round(age.debounce_lag_seconds, 1), round(age.publish_lag_seconds, 1), age.storm]
            ).encode()
            await self._valkey.put(keys.health(partition), row, self._valid_for_seconds)

    async def late(self) -> str | None:
        """Why presence cannot be trusted now, or None."""
        rows: Sequence[bytes | None] = [
            await self._valkey.get(keys.health(partition)) for partition in range(self._partitions)
        ]
        without = sum(row is None for row in rows)
        if without:
            return f"{without} of {self._partitions} partitions have no bridge"
        ages = [json.loads(row) for row in rows if row is not None]
        debounce_lag, publish_lag = max(age[0] for age in ages), max(age[1] for age in ages)
        if debounce_lag > self._valid_for_seconds:
            return f"changes wait {debounce_lag:.0f} s to be settled"
        if publish_lag > self._valid_for_seconds:
            return f"notifications wait {publish_lag:.0f} s to be published"
        # A row of an older version has no third field.
        return next((age[2] for age in ages if len(age) > 2 and age[2]), None)


def entry_age(entry: str | None, now: float | None = None) -> float:
    """Seconds since a stream entry was appended, from its id; 0 for None."""
    if entry is None:
        return 0.0
    return max(0.0, (now or time.time()) - int(entry.partition("-")[0]) / 1000)
