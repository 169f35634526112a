"""The figures of one rate of churn: whether it was sustained, tables and charts. Measures nothing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from rich.console import Console
from rich.table import Table

from bench.charts import bars
from bench.harness.crowd import Freshness
from bench.harness.scaled import ORIGIN, Estimate, cores

MAX_P99_MILLISECONDS = 1000.0
SERVERS = ("Neo4j", "Valkey", "friends-presence")
ADAPTIVE, FIXED = "adaptive", "1 s"
console = Console(stderr=True)


@dataclass(frozen=True, slots=True)
class Step:
    """One measured rate."""

    window: str
    wanted: float
    transitions: float
    """Completed transitions a second."""
    failed: int
    deliveries: float
    """Deliveries a second: one friend notified of one change."""
    publishes: float
    """Received messages a second."""
    notified: Freshness
    """Age since PubNub's event, beyond the debounce time."""
    beyond: Freshness
    """Age of the oldest change in a message, beyond debounce time and window."""
    acted: Freshness | None
    """Age since the user's transition was due, beyond the debounce time. Includes PubNub's interval in interval mode."""
    connect_p50: float | None
    connect_p99: float | None
    """Milliseconds from a due join to the response to its sync."""
    cpu: dict[str, float]
    """CPU milliseconds of each process for 1,000 deliveries."""
    cores: dict[str, float]
    """CPU cores used by each process."""
    begun: float | None = None
    """Transitions a second that were due. Random arrivals are a few more or fewer than wanted."""

    @property
    def judged(self) -> Freshness:
        """The age that the limit applies to: without a fixed window, and with an adaptive one."""
        return self.notified if self.window == ADAPTIVE else self.beyond

    @property
    def servers(self) -> float:
        """CPU of all servers but the origin, milliseconds for 1,000 deliveries."""
        return sum(self.cpu[name] for name in SERVERS)

    @property
    def sustained(self) -> bool:
        """Whether the rate was reached within the latency limit."""
        due = self.wanted if self.begun is None else self.begun
        return (
            self.deliveries > 0 and self.judged.p99 <= MAX_P99_MILLISECONDS and self.transitions >= 0.95 * due
        )

    def figures(self) -> dict[str, Any]:
        """As in the file."""
        found = asdict(self)
        found |= {"told": found.pop("notified"), "servers": round(self.servers, 3), "kept": self.sustained}
        return found


def report_step(step: Step) -> None:
    """Print one line of progress."""
    busy = ", ".join(f"{name} {share:.2f}" for name, share in step.cores.items())
    console.print(
        f"window {step.window}, {step.wanted:,.0f}/s: {step.transitions:,.0f} done, {step.failed} failed, "
        f"{step.deliveries:,.0f} deliveries/s in {step.publishes:,.0f} messages/s, "
        f"p99 {step.judged.p99:,.0f} ms; cores: {busy}"
    )


def table(steps: Sequence[Step]) -> Table:
    headings = "window, wanted/s, done/s, deliveries/s, messages/s, p50, p99, acted p99, connect p99"
    shown = Table(*headings.split(", "), "CPU ms/1,000", "sustained", title="The whole system (milliseconds)")
    for one in steps:
        rates = (one.wanted, one.transitions, one.deliveries, one.publishes)
        ages = (one.judged.p50, one.judged.p99, one.acted and one.acted.p99, one.connect_p99)
        figures = ["" if figure is None else f"{figure:,.0f}" for figure in (*rates, *ages)]
        shown.add_row(one.window, *figures, f"{one.servers:.1f}", "yes" if one.sustained else "[red]no[/red]")
    return shown


def best(steps: Sequence[Step], window: str) -> Step | None:
    """The highest sustained rate."""
    found = (one for one in steps if one.window == window and one.sustained)
    return max(found, key=lambda one: one.wanted, default=None)


def _lowest(steps: Sequence[Step], window: str) -> Step | None:
    return min((one for one in steps if one.window == window), key=lambda one: one.wanted, default=None)


def full_load(steps: Sequence[Step]) -> list[Estimate]:
    """The estimate for the full load, from the costs of the highest sustained rate with the fixed window."""
    found = best(steps, FIXED) or best(steps, ADAPTIVE)
    return cores({name: found.cpu[name] for name in (*SERVERS, ORIGIN) if name in found.cpu}) if found else []


def results(steps: Sequence[Step], sink: bool) -> list[dict[str, Any]]:
    """The figures that have a budget."""
    way, least = ("publishes into a sink", 800) if sink else ("everything on this machine", 400)
    rows = []
    for window in (ADAPTIVE, FIXED):
        found = best(steps, window)
        budget = f">= {least}" if window == FIXED else ""
        sustained = found.transitions if found else 0.0
        rows.append((f"transitions/s sustained, {way}, window {window}", sustained, "1/s", budget))
        if cost := found or _lowest(steps, window):
            budget = "<= 8" if window == FIXED else ""
            what = f"CPU of all servers but the origin, {way}, window {window}"
            what += "" if found else f", at {cost.wanted:g} 1/s, which was not sustained"
            rows.append((what, round(cost.servers, 2), "ms/1,000 deliveries", budget))
    return [dict(zip(("what", "value", "unit", "budget"), row, strict=True)) for row in rows]


def arithmetic(lines: Sequence[Estimate]) -> Table:
    """The estimate as a table."""
    shown = Table("what", "formula", "value", "unit", title="500,000 online, estimated from this run")
    for line in lines:
        shown.add_row(line.what, line.formula, f"{line.value:,.2f}", line.unit)
    return shown


def drawing(steps: Sequence[Step], title: str) -> str:
    """Freshness by rate, as SVG."""
    rows = []
    for one in steps:
        ages = {"p50": max(1.0, one.judged.p50), "p99": max(1.0, one.judged.p99)}
        rows.append((f"window {one.window}, {one.transitions:,.0f} transitions/s", ages))
    return bars.bars(title, "ms", rows)
