"""What all bridges report and what stands in the streams, as one picture. Pure; knows no engine and no console."""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from graph_service.model.timestamps import microseconds
from pubnub_bridge.observe.console.report import quantile
from pubnub_bridge.observe.console.schemas import (
    BridgeRow,
    Figures,
    Leader,
    PartitionRow,
    Shards,
    Snapshot,
    StageRow,
)

MAX_SHARD_CELLS = 1000
TOP_COUNT = 10


@dataclass(frozen=True, slots=True)
class SystemState:
    """What one look at Valkey brought."""

    reports: Sequence[Mapping[str, Any]]
    """Of the bridges that are alive."""
    owners: Sequence[str | None]
    """By partition."""
    seen: Sequence[int]
    inbox: Sequence[int]
    dead: Sequence[int]
    """Lengths of the streams by partition."""
    oldest: Sequence[tuple[float, float]]
    """Seconds that the first entry of the seen and the inbox stream has stood there, by partition."""
    online: int | None
    occupancy: Sequence[int]
    late: str | None
    now: float
    """Seconds since the epoch."""


def snapshot(read: SystemState, consoles: int) -> Snapshot:
    """The picture."""
    sums = _Sums(read.reports)
    partitions = [_partition(read, number) for number in range(len(read.owners))]
    return Snapshot(
        ts=microseconds(int(read.now * 1_000_000)),
        online=read.online,
        degraded=read.late is not None,
        reason=read.late,
        walk=pipeline(read, sums, partitions),
        figures=_figures(sums),
        partitions=partitions,
        bridges=[_bridge(report, read.now) for report in read.reports],
        shards=shards(read.occupancy),
        flap_leaders=[
            Leader(user=user, per_minute=rate) for user, rate, _ in top_users(read.reports, "flaps")
        ],
        costly=[
            Leader(user=user, per_minute=rate, friends=friends)
            for user, rate, friends in top_users(read.reports, "costly")
        ],
        dead=sum(read.dead),
        consoles=consoles,
    )


class _Sums:
    """Rates and histograms over all bridges."""

    def __init__(self, reports: Sequence[Mapping[str, Any]]) -> None:
        self._reports = reports
        self.delay = _added(report["delay"] for report in reports)
        self.settle = _added(report["settle"] for report in reports)
        self.open = any(report["circuitOpen"] for report in reports)
        self.storms = [storm for report in reports for storm in report.get("storms", ())]

    def rate(self, name: str) -> float | None:
        """A second; None where no bridge knows it yet."""
        known = [report["rates"][name] for report in self._reports if name in report["rates"]]
        return round(sum(known), 2) if known else None

    def some(self, *names: str) -> bool:
        """Whether any of these happens at all."""
        return any(self.rate(name) for name in names)

    @property
    def accuracy(self) -> float | None:
        """What the leader last found, where it has sampled."""
        found = [report["accuracy"] for report in self._reports if report["accuracy"]]
        return round(max(found), 4) if found else None


def _added(several: Iterable[Mapping[str, float]]) -> dict[str, float]:
    found: dict[str, float] = {}
    for buckets in several:
        for end, count in buckets.items():
            found[end] = found.get(end, 0.0) + count
    return found


def _figures(sums: _Sums) -> Figures:
    return Figures(
        transitions=sums.rate("settled"),
        flaps=sums.rate("flaps"),
        inbox_messages=sums.rate("published"),
        saved=sums.rate("saved"),
        repairs=sums.rate("repairs"),
        failed=sums.rate("failed"),
        latency_p50=_rounded(quantile(sums.delay, 0.5)),
        latency_p99=_rounded(quantile(sums.delay, 0.99)),
        accuracy=sums.accuracy,
    )


def pipeline(read: SystemState, sums: _Sums, partitions: Sequence[PartitionRow]) -> list[StageRow]:
    """The ten rows of the walk, in its order; each with its rate, what waits, and what is wrong."""
    owned = [row for row in partitions if row.held is not None]
    held = sum(row.held or 0 for row in owned)
    waiting = sum(int(cell[1]) for report in read.reports for cell in report["partitions"].values())
    overdue = [cell[2:4] for report in read.reports for cell in report["partitions"].values()]
    heard, settled, recipients = sums.rate("heard"), sums.rate("settled"), sums.rate("recipients")
    late_settle = max((cell[0] for cell in overdue), default=None)
    late_notice = max((cell[1] for cell in overdue), default=None)
    seen_age, inbox_age = (max((ages[side] for ages in read.oldest), default=0.0) for side in (0, 1))
    settling = _rounded(quantile(sums.settle, 0.99))
    trouble = _troubles(sums, partitions, sum(read.dead))
    rows = [
        ("receive", "presence events in", heard, "events", None, None),
        ("understand", "any shape becomes one", heard, "events", None, None),
        ("log", "stands in the seen stream", heard, "events", seen_age, sum(read.seen)),
        ("hold", "flaps are swallowed", sums.rate("flaps"), "flaps", None, held),
        ("settle", "what is due, in batches", settled, "users", late_settle, None),
        ("flag", "committed to the graph", settled, "users", settling, None),
        ("read back", "state and clock of one read", settled, "users", settling, None),
        ("inbox", "stands in the inbox stream", recipients, "notices", inbox_age, sum(read.inbox)),
        ("coalesce", "notices become messages", sums.rate("saved"), "saved", late_notice, waiting),
        (
            "publish",
            "out to inboxes",
            sums.rate("published"),
            "messages",
            _rounded(quantile(sums.delay, 0.99)),
            None,
        ),
    ]
    return [
        StageRow(
            row=number, name=name, does=does, rate=rate, unit=unit,
            lag=_rounded(lag), waiting=wait, trouble=trouble.get(name),
        )
        for number, (name, does, rate, unit, lag, wait) in enumerate(rows, 1)
    ]  # fmt: skip


def _troubles(sums: _Sums, partitions: Sequence[PartitionRow], dead: int) -> dict[str, str]:
    orphans = sum(row.owner is None for row in partitions)
    found = {
        "receive": "subscribe calls fail" if sums.some("pollsFailed") else "",
        "understand": "bodies that are not understood"
        if sums.some("unknown", "refused", "misplaced")
        else "",
        "log": f"{orphans} partitions have no bridge" if orphans else "",
        "hold": _of_storms(sums.storms),
        "publish": _of_publishing(sums, dead),
    }
    return {name: said for name, said in found.items() if said}


def _of_storms(storms: Sequence[str]) -> str:
    return f"{storms[0]} (and {len(storms) - 1} more)" if len(storms) > 1 else "".join(storms)


def _of_publishing(sums: _Sums, dead: int) -> str:
    if sums.open:
        return "stopped until the origin answers"
    if sums.some("failed"):
        return "some publishes fail and are repeated"
    return f"{dead} dead letters" if dead else ""


def _partition(read: SystemState, number: int) -> PartitionRow:
    owner = read.owners[number]
    cells = [
        report["partitions"][str(number)]
        for report in read.reports
        if report["name"] == owner and str(number) in report["partitions"]
    ]
    held, _, late_settle, late_notice, online = cells[0] if cells else (None, None, None, None, None)
    return PartitionRow(
        number=number,
        owner=owner,
        seen=read.seen[number],
        inbox=read.inbox[number],
        dead=read.dead[number],
        oldest=round(max(read.oldest[number]), 1),
        held=held,
        late=None if late_settle is None else max(late_settle, late_notice),
        online=online,
    )


def _bridge(report: Mapping[str, Any], now: float) -> BridgeRow:
    rates = report["rates"]
    return BridgeRow(
        name=report["name"],
        leads=report["leads"],
        owned=len(report["partitions"]),
        quiet=round(max(0.0, now - report["at"]), 1),
        heard=rates.get("heard"),
        settled=rates.get("settled"),
        published=rates.get("published"),
    )


def shards(occupancy: Sequence[int]) -> Shards:
    """Occupancy, at most a thousand numbers, and how uneven it is."""
    together = max(1, -(-len(occupancy) // MAX_SHARD_CELLS))
    cells = [sum(occupancy[start : start + together]) for start in range(0, len(occupancy), together)]
    total = sum(occupancy)
    skew = round(max(occupancy) * len(occupancy) / total, 2) if total else None
    return Shards(occupancy=cells, together=together, skew=skew)


def top_users(reports: Sequence[Mapping[str, Any]], kind: str) -> list[tuple[str, float, int]]:
    """The first of all bridges; a user who moved with a partition is counted once, by the higher count."""
    best: dict[str, tuple[str, float, int]] = {}
    for user, rate, note in (row for report in reports for row in report[kind]):
        if rate >= 0.05 and rate > best.get(user, ("", 0.0, 0))[1]:
            best[user] = (user, rate, note)
    return heapq.nlargest(TOP_COUNT, best.values(), key=lambda one: one[1])


def _rounded(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds, 3)
