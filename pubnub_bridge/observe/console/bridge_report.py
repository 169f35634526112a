"""One bridge's report (`report.Report.row`), decoded from its JSON value in Valkey into records with names. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnedPartition:
    """One partition that the bridge owns."""

    debouncing: int
    """Users whose change is in the debounce stage or waits for the graph."""
    pending_inboxes: int
    commit_late_seconds: float
    publish_late_seconds: float
    """How long the oldest change and the oldest notification are overdue."""
    online: int


@dataclass(frozen=True, slots=True, kw_only=True)
class TopUser:
    """One user with a high rate."""

    user: str
    per_minute: float
    friends: int


@dataclass(frozen=True, slots=True, kw_only=True)
class BridgeReport:
    """A live bridge: rates a second by counter, growth of histogram buckets by upper end, partitions by number."""

    name: str
    at: float
    """Seconds since the epoch."""
    leads: bool
    rates: Mapping[str, float]
    publish_delay: Mapping[str, float]
    flag_write: Mapping[str, float]
    circuit_open: bool
    storms: Sequence[str]
    accuracy: float | None
    partitions: Mapping[int, OwnedPartition]
    flapping: Sequence[TopUser]
    costly: Sequence[TopUser]

    @classmethod
    def decode(cls, row: Mapping[str, Any]) -> BridgeReport:
        """From the stored JSON, where partitions and users are lists by position."""
        return cls(
            name=row["name"],
            at=row["at"],
            leads=row["leads"],
            rates=row["rates"],
            publish_delay=row["delay"],
            flag_write=row["settle"],
            circuit_open=row["circuitOpen"],
            storms=row.get("storms", ()),
            accuracy=row["accuracy"],
            partitions={int(number): _partition(cells) for number, cells in row["partitions"].items()},
            flapping=[_user(cells) for cells in row["flaps"]],
            costly=[_user(cells) for cells in row["costly"]],
        )


def _partition(cells: Sequence[float]) -> OwnedPartition:
    debouncing, pending, commit_late, publish_late, online = cells
    return OwnedPartition(
        debouncing=int(debouncing),
        pending_inboxes=int(pending),
        commit_late_seconds=commit_late,
        publish_late_seconds=publish_late,
        online=int(online),
    )


def _user(cells: Sequence[Any]) -> TopUser:
    user, per_minute, friends = cells
    return TopUser(user=user, per_minute=per_minute, friends=friends)
