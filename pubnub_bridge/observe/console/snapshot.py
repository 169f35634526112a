"""One snapshot of the whole system for the operator console, merged from all bridges' reports and the streams.

Pure: no clock, no I/O. Invariants: rates and histograms are summed over bridges; a partition's figures come from the
report of the bridge that holds its lease, and are null without one; a user who moved with a partition is counted once.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from graph_service.model.timestamps import microseconds
from pubnub_bridge.observe.console.bridge_report import BridgeReport, OwnedPartition, TopUser
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
MIN_TOP_PER_MINUTE = 0.05


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """What the console shows of a pipeline stage whatever happens there."""

    name: str
    does: str
    unit: str
    """What its rate counts."""


STAGES = (
    Stage(name="ingest", does="presence is logged", unit="events"),
    Stage(name="debounce", does="flaps are absorbed", unit="flaps"),
    Stage(name="commit", does="flags are written in batches", unit="users"),
    Stage(name="read", does="state and clock of one read", unit="users"),
    Stage(name="enqueue", does="into the inbox streams", unit="notifications"),
    Stage(name="batch", does="fewer, larger messages", unit="coalesced"),
    Stage(name="publish", does="out to the inboxes", unit="messages"),
)
"""The pipeline, in its order (docs/concepts.md)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamAges:
    """Seconds since the first entry of a partition's streams was written; zero for an empty stream."""

    log: float = 0.0
    inbox: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class SystemState:
    """What Valkey held at one moment; sequences are by partition where nothing else is said."""

    reports: Sequence[BridgeReport]
    """Of the live bridges."""
    owners: Sequence[str | None]
    log_lengths: Sequence[int]
    inbox_lengths: Sequence[int]
    dead_letters: Sequence[int]
    ages: Sequence[StreamAges]
    online: int | None
    occupancy: Sequence[int]
    """By shard."""
    degraded_reason: str | None
    now: float
    """Seconds since the epoch."""


def snapshot(state: SystemState, *, consoles: int) -> Snapshot:
    """The console's picture of a state; `consoles` is how many this process feeds."""
    totals = _Totals(state.reports)
    owned = _owned(state)
    partitions = [_partition(state, number, owned.get(number)) for number in range(len(state.owners))]
    return Snapshot(
        ts=microseconds(int(state.now * 1_000_000)),
        online=state.online,
        degraded=state.degraded_reason is not None,
        reason=state.degraded_reason,
        walk=pipeline(state, totals, partitions),
        figures=_figures(totals),
        partitions=partitions,
        bridges=[_bridge(report, state.now) for report in state.reports],
        shards=shards(state.occupancy),
        flap_leaders=[
            Leader(user=one.user, per_minute=one.per_minute)
            for one in top_users(report.flapping for report in state.reports)
        ],
        costly=[
            Leader(user=one.user, per_minute=one.per_minute, friends=one.friends)
            for one in top_users(report.costly for report in state.reports)
        ],
        dead=sum(state.dead_letters),
        consoles=consoles,
    )


class _Totals:
    """Rates and histograms over all bridges."""

    def __init__(self, reports: Sequence[BridgeReport]) -> None:
        self._reports = reports
        self.publish_delay = _sum_buckets(report.publish_delay for report in reports)
        self.flag_write = _sum_buckets(report.flag_write for report in reports)
        self.circuit_open = any(report.circuit_open for report in reports)
        self.storms = [storm for report in reports for storm in report.storms]

    def rate(self, name: str) -> float | None:
        """A second; None where no bridge knows it yet."""
        known = [report.rates[name] for report in self._reports if name in report.rates]
        return round(sum(known), 2) if known else None

    def any_rate(self, *names: str) -> bool:
        """Whether any of these happens at all."""
        return any(self.rate(name) for name in names)

    @property
    def accuracy(self) -> float | None:
        """The leader's last sample, where there is one."""
        samples = [report.accuracy for report in self._reports if report.accuracy]
        return round(max(samples), 4) if samples else None


def _sum_buckets(histograms: Iterable[Mapping[str, float]]) -> dict[str, float]:
    total: dict[str, float] = {}
    for buckets in histograms:
        for end, count in buckets.items():
            total[end] = total.get(end, 0.0) + count
    return total


def _figures(totals: _Totals) -> Figures:
    return Figures(
        transitions=totals.rate("settled"),
        flaps=totals.rate("flaps"),
        inbox_messages=totals.rate("published"),
        saved=totals.rate("saved"),
        repairs=totals.rate("repairs"),
        failed=totals.rate("failed"),
        latency_p50=_rounded(quantile(totals.publish_delay, 0.5)),
        latency_p99=_rounded(quantile(totals.publish_delay, 0.99)),
        accuracy=totals.accuracy,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _StageLoad:
    rate: float | None
    """A second."""
    lag: float | None = None
    """Seconds: age of the oldest, or 99th percentile where nothing waits."""
    waiting: int | None = None


def pipeline(state: SystemState, totals: _Totals, partitions: Sequence[PartitionRow]) -> list[StageRow]:
    """A row for each of `STAGES`, with its rate, what is pending, and what is wrong."""
    loads, problems = _stage_loads(state, totals), _problems(state, totals, partitions)
    return [
        StageRow(
            row=number,
            name=stage.name,
            does=stage.does,
            rate=loads[stage.name].rate,
            unit=stage.unit,
            lag=_rounded(loads[stage.name].lag),
            waiting=loads[stage.name].waiting,
            trouble=problems.get(stage.name),
        )
        for number, stage in enumerate(STAGES, 1)
    ]


def _stage_loads(state: SystemState, totals: _Totals) -> Mapping[str, _StageLoad]:
    held = sum(cell.debouncing for cell in _owned(state).values())
    reported = _reported(state)
    committed = totals.rate("settled")
    return {
        "ingest": _StageLoad(
            rate=totals.rate("heard"),
            lag=max((ages.log for ages in state.ages), default=0.0),
            waiting=sum(state.log_lengths),
        ),
        "debounce": _StageLoad(rate=totals.rate("flaps"), waiting=held),
        "commit": _StageLoad(
            rate=committed, lag=max((cell.commit_late_seconds for cell in reported), default=None)
        ),
        "read": _StageLoad(rate=committed, lag=quantile(totals.flag_write, 0.99)),
        "enqueue": _StageLoad(
            rate=totals.rate("recipients"),
            lag=max((ages.inbox for ages in state.ages), default=0.0),
            waiting=sum(state.inbox_lengths),
        ),
        "batch": _StageLoad(
            rate=totals.rate("saved"),
            lag=max((cell.publish_late_seconds for cell in reported), default=None),
            waiting=sum(cell.pending_inboxes for cell in reported),
        ),
        "publish": _StageLoad(rate=totals.rate("published"), lag=quantile(totals.publish_delay, 0.99)),
    }


def _reported(state: SystemState) -> list[OwnedPartition]:
    """Every partition that a bridge reports as its own; during a take-over one can be in two reports."""
    return [cell for report in state.reports for cell in report.partitions.values()]


def _owned(state: SystemState) -> dict[int, OwnedPartition]:
    """By number, only as reported by the bridge that holds the lease."""
    return {
        number: report.partitions[number]
        for report in state.reports
        for number, owner in enumerate(state.owners)
        if owner == report.name and number in report.partitions
    }


def _problems(
    state: SystemState, totals: _Totals, partitions: Sequence[PartitionRow]
) -> Mapping[str, str | None]:
    """By stage; the first of several is shown, with the number of others."""
    orphans = sum(row.owner is None for row in partitions)
    ingest = [
        "subscribe calls fail" if totals.any_rate("pollsFailed") else "",
        "presence is not understood" if totals.any_rate("unknown", "refused", "misplaced") else "",
        f"{orphans} partitions have no bridge" if orphans else "",
    ]
    return {
        "ingest": _first_of([problem for problem in ingest if problem]),
        "debounce": _first_of(totals.storms),
        "publish": _publish_problem(totals, sum(state.dead_letters)),
    }


def _first_of(problems: Sequence[str]) -> str | None:
    if len(problems) > 1:
        return f"{problems[0]} (and {len(problems) - 1} more)"
    return problems[0] if problems else None


def _publish_problem(totals: _Totals, dead_letters: int) -> str | None:
    if totals.circuit_open:
        return "circuit open: PubNub does not respond"
    if totals.any_rate("failed"):
        return "some publishes fail and are retried"
    return f"{dead_letters} dead letters" if dead_letters else None


def _partition(state: SystemState, number: int, cell: OwnedPartition | None) -> PartitionRow:
    ages = state.ages[number]
    return PartitionRow(
        number=number,
        owner=state.owners[number],
        seen=state.log_lengths[number],
        inbox=state.inbox_lengths[number],
        dead=state.dead_letters[number],
        oldest=round(max(ages.log, ages.inbox), 1),
        held=cell.debouncing if cell else None,
        late=max(cell.commit_late_seconds, cell.publish_late_seconds) if cell else None,
        online=cell.online if cell else None,
    )


def _bridge(report: BridgeReport, now: float) -> BridgeRow:
    return BridgeRow(
        name=report.name,
        leads=report.leads,
        owned=len(report.partitions),
        quiet=round(max(0.0, now - report.at), 1),
        heard=report.rates.get("heard"),
        settled=report.rates.get("settled"),
        published=report.rates.get("published"),
    )


def shards(occupancy: Sequence[int]) -> Shards:
    """Occupancy in at most `MAX_SHARD_CELLS` numbers, and how uneven the shards themselves are."""
    together = max(1, -(-len(occupancy) // MAX_SHARD_CELLS))
    cells = [sum(occupancy[start : start + together]) for start in range(0, len(occupancy), together)]
    total = sum(occupancy)
    skew = round(max(occupancy) * len(occupancy) / total, 2) if total else None
    return Shards(occupancy=cells, together=together, skew=skew)


def top_users(lists: Iterable[Sequence[TopUser]]) -> list[TopUser]:
    """The highest rates of all bridges; a user who moved with a partition is counted once, by the higher rate."""
    best: dict[str, TopUser] = {}
    for one in (user for users in lists for user in users if user.per_minute >= MIN_TOP_PER_MINUTE):
        known = best.get(one.user)
        if known is None or one.per_minute > known.per_minute:
            best[one.user] = one
    return heapq.nlargest(TOP_COUNT, best.values(), key=lambda one: one.per_minute)


def _rounded(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds, 3)
