"""Overload benchmark: twice the capacity, for minutes, on every entry point of the whole system.

For each entry point (webhook, API, sync) first the capacity, then the overload, then calm. Memory must be bounded,
accepted requests answered in time, the others rejected at once with `retryAfter`, all of them counted, and latencies
normal again within seconds. Of a webhook request all events are accepted or none. Run it with ``make bench-overload``;
``--unbounded`` shows the same without the bounds.
"""

from __future__ import annotations

import asyncio
import json
import random
import re
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer
import uvloop
from rich.console import Console
from rich.table import Table

from bench.charts import lines
from bench.harness import measure, stacked
from bench.harness.http_load import Connection, memory_kb
from bench.harness.loaded import ONLINE, flag, load
from bench.system.flood import Flood, Request, Second
from graph_service.api.dev_tokens import mint
from graph_service.graph.driver import connect
from local_stack.data.generate import Population, generate
from local_stack.stack.up import Stack
from pubnub_bridge.client.connection_info import ConnectionInfo, read_connection_info

console = Console(file=sys.stderr)
SECRET = "webhook-secret-of-this-benchmark-0123456789"
EVENTS_PER_WEBHOOK = 20
"""Presence events of one webhook request."""
CONCURRENT_CALLERS = 16
CALLERS = 500
"""Number of calling users, so that none reaches a rate limit."""
MAX_P99_MILLISECONDS = 2_500.0
"""Limit for the p99 of answered requests. TARGET_LATENCY_SECONDS is 1 s."""
MAX_GROWTH_MIB = 128.0
MAX_RECOVERY_SECONDS = 5.0
"""Seconds after which latencies must be normal again."""
UNBOUNDED = {
    "MAX_CONCURRENT_REQUESTS": "10000",
    "TARGET_LATENCY_SECONDS": "60",
    "MAX_STREAM_ENTRIES": "100000000",
    "MAX_CONNECTIONS": "1000000",
}


@dataclass(frozen=True, slots=True)
class Result:
    """One measured entry point."""

    entry: str
    capacity: float
    """Successful requests a second in a closed loop of `CONCURRENT_CALLERS`."""
    rate: float
    seconds: int
    timeline: list[Second]
    answered: int
    rejected: int
    failed: int
    outcomes: dict[str, int]
    calm_p99_ms: float
    p50_ms: float
    p99_ms: float
    most_ms: float
    rejected_p99_ms: float
    memory_before_mib: float
    memory_most_mib: float
    recovered_s: float
    """Seconds after the flood until twenty requests in a row succeed in normal time; -1 for not within a minute."""
    counted: bool
    """Whether the service counted as many rejected requests as the callers."""
    whole: bool | None
    """Whether the service counted exactly the events of the accepted webhook requests."""

    @property
    def checks(self) -> dict[str, bool]:
        """The promises, and whether each was kept."""
        return {
            "memory bounded": self.memory_most_mib - self.memory_before_mib <= MAX_GROWTH_MIB,
            "answered in time": self.p99_ms <= MAX_P99_MILLISECONDS,
            "the rest rejected with retryAfter": self.failed == 0,
            "recovered within seconds": 0 <= self.recovered_s <= MAX_RECOVERY_SECONDS,
            "counted": self.counted,
            "webhooks whole": self.whole is not False,
        }


class Entries:
    """Encoded requests for each entry point, prepared in advance to keep the load generator cheap."""

    def __init__(self, *, where: ConnectionInfo, population: Population, seed: int) -> None:
        chance = random.Random(seed)
        self._users = chance.sample(population.ids, min(CALLERS, len(population.ids)))
        self._ids = population.ids
        self._chance = chance
        self._shards = where.settings.shard_map()
        tokens = [mint(where.settings, user, time.time(), 7200) for user in self._users]
        self._sync = [_get("/v1/sync", token) for token in tokens]
        self._page = [_get("/v1/friends?limit=100", token) for token in tokens]

    def all(self) -> dict[str, Request]:
        """Requests by entry point."""
        return {"sync": self._of(self._sync), "api": self._of(self._page), "webhook": self.webhook}

    @staticmethod
    def _of(requests: Sequence[bytes]) -> Request:
        return lambda number: requests[number % len(requests)]

    def webhook(self, number: int) -> bytes:
        """Joins or leaves of random users at the present time."""
        now = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        action = "joined" if number % 2 else "left"
        users = self._chance.sample(self._ids, EVENTS_PER_WEBHOOK)
        items = [
            {
                "channel": self._shards.channel(self._shards.shard(user)),
                "userId": user,
                "occupancy": 1,
                "data": {},
                "timestamp": now,
            }
            for user in users
        ]
        schema = f"pubnub.com/schemas/events/presence.user.channel.{action}?v=1.0.0"
        body = json.dumps({"schema": schema, "data": items}).encode()
        head = (
            f"POST /webhooks/presence HTTP/1.1\r\nHost: localhost\r\nX-Webhook-Secret: {SECRET}\r\n"
            f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
        )
        return head.encode() + body


def _get(path: str, token: str) -> bytes:
    return f"GET {path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {token}\r\n\r\n".encode()


async def counts(port: int) -> dict[str, float]:
    """The service's counters: rejected requests, and presence events accepted by the webhook."""
    connection = await Connection.to(port)
    text = (await connection.get("/metrics")).decode()
    connection.close()
    shed = re.findall(r"^friends_http_shed_total\{.*\} (\S+)$", text, re.MULTILINE)
    stopped = re.findall(r"^friends_backpressure_total (\S+)$", text, re.MULTILINE)
    limited = re.findall(r"^friends_http_rate_limited_total\{.*\} (\S+)$", text, re.MULTILINE)
    accepted = re.findall(r'^friends_presence_events_total\{source="webhook"\} (\S+)$', text, re.MULTILINE)
    return {"rejected": sum(map(float, [*shed, *stopped, *limited])), "events": sum(map(float, accepted))}


async def measured(name: str, request: Request, made: Stack, wanted: tuple[float, int]) -> Result:
    """Measure one entry point: calm, flood, calm."""
    times, seconds = wanted
    service = made.servers[-1]
    port = int(made.api.rpartition(":")[2])
    calm = Flood(port, service.pid)
    await calm.calm(request, 3.0, CONCURRENT_CALLERS)  # warm
    calm.total.answered = measure.Stopwatch()
    capacity = await calm.calm(request, 6.0, CONCURRENT_CALLERS)
    quiet = calm.total.answered.timing()
    calm.close()
    before, resident = await counts(port), memory_kb(service.pid) / 1024
    flood = Flood(port, service.pid)
    timeline = await flood.at(request, max(20.0, capacity * times), seconds)
    recovered = await recovery(request, (port, service.pid), 4 * quiet.p99)
    after = await counts(port)
    answered, refused = flood.total.answered.timing(), flood.total.rejected.timing()
    flood.close()
    rejected = sum(count for outcome, count in flood.outcomes.items() if outcome.startswith(("429", "503")))
    failed = sum(count for outcome, count in flood.outcomes.items() if outcome != "200") - refused.calls
    return Result(
        entry=name,
        capacity=round(capacity, 1),
        rate=round(max(20.0, capacity * times), 1),
        seconds=seconds,
        timeline=timeline,
        answered=answered.calls,
        rejected=refused.calls,
        failed=failed,
        outcomes=dict(flood.outcomes),
        calm_p99_ms=quiet.p99,
        p50_ms=answered.p50,
        p99_ms=answered.p99,
        most_ms=answered.most,
        rejected_p99_ms=refused.p99,
        memory_before_mib=round(resident, 1),
        memory_most_mib=max(one.memory_mib for one in timeline),
        recovered_s=recovered[0],
        counted=after["rejected"] - before["rejected"] == rejected + recovered[1],
        whole=_whole(name, flood, after["events"] - before["events"], recovered[2]),
    )


def _whole(name: str, flood: Flood, events: float, answered_by_probes: int) -> bool | None:
    """None where requests had no response, since their events may have been accepted."""
    lost = sum(count for outcome, count in flood.outcomes.items() if not outcome[:3].isdigit())
    return (
        None
        if name != "webhook" or lost
        else events == EVENTS_PER_WEBHOOK * (flood.outcomes["200"] + answered_by_probes)
    )


async def recovery(request: Request, where: tuple[int, int], soon_ms: float) -> tuple[float, int, int]:
    """Seconds until twenty requests in a row succeed in normal time, and the rejected and answered ones until then."""
    began, row, probe = time.monotonic(), 0, Flood(*where)
    since = began
    while row < 20 and time.monotonic() - began < 60:
        asked = time.monotonic()
        outcome = await probe.call(request(random.randrange(10**6)), asked)
        fine = outcome == "200" and (time.monotonic() - asked) * 1000 <= max(100.0, soon_ms)
        row = row + 1 if fine else 0
        since = time.monotonic() if not fine else since
        await asyncio.sleep(0.02)
    probe.close()
    rejected = sum(count for outcome, count in probe.outcomes.items() if outcome.startswith(("429", "503")))
    return round(since - began, 2) if row >= 20 else -1.0, rejected, probe.outcomes["200"]


@dataclass(frozen=True, slots=True)
class Plan:
    """Parameters of one run."""

    seed: int
    times: float
    """The offered rate as a multiple of the capacity."""
    seconds: int
    entry: str
    """The only entry point to measure; empty for all."""
    more: Mapping[str, str]
    """Further options of the service."""


async def run(population: Population, plan: Plan) -> Any:
    """Measure the entry points on one stack; returns results and versions."""
    with tempfile.TemporaryDirectory() as folder:
        data, connection_file = await load(Path(folder), population, plan.seed), Path(folder) / "stack.json"
        async with stacked.system(data, connection_file) as made:
            await stacked.restarted(made, {"WEBHOOK_SECRET": SECRET, "LOG_LEVEL": "warning", **plan.more})
            where = read_connection_info(connection_file)
            async with connect(where.settings) as graph:
                online = random.Random(plan.seed).sample(population.ids, int(ONLINE * len(population.ids)))
                await flag(graph, online)
            results = []
            for name, request in Entries(where=where, population=population, seed=plan.seed).all().items():
                if plan.entry and name != plan.entry:
                    continue
                results.append(await measured(name, request, made, (plan.times, plan.seconds)))
                console.print(_summary(results[-1]))
                await asyncio.sleep(3.0)
            return results, stacked.versions(made)


def _summary(one: Result) -> str:
    broken = [what for what, passed in one.checks.items() if not passed]
    return f"{one.entry}: {one.rate:,.0f}/s offered, {'all promises kept' if not broken else 'NOT ' + ', NOT '.join(broken)}"


def figures(one: Result) -> dict[str, Any]:
    """As in the file: rates per second, kept promises, and the figures of each second."""
    found = asdict(one)
    return found | {
        "timeline": [second.row() for second in one.timeline],
        "how": found.pop("outcomes"),
        "away_p99_ms": found.pop("rejected_p99_ms"),
        "held": one.checks,
        "answered_per_second": round(found.pop("answered") / one.seconds, 1),
        "sent_away_per_second": round(found.pop("rejected") / one.seconds, 1),
    }


def table(results: Sequence[Result]) -> Table:
    made = Table("entry", "capacity/s", "offered/s", "answered/s", "rejected/s", "failed")
    for name in (
        "p99 calm",
        "p99 of answered",
        "p99 of rejected",
        "MiB before",
        "MiB max",
        "recovered",
        "promises kept",
    ):
        made.add_column(name)
    for one in results:
        row = [f"{one.capacity:,.0f}", f"{one.rate:,.0f}", f"{one.answered / one.seconds:,.0f}"]
        row += [f"{one.rejected / one.seconds:,.0f}", str(one.failed), f"{one.calm_p99_ms:,.0f} ms"]
        row += [f"{one.p99_ms:,.0f} ms", f"{one.rejected_p99_ms:,.0f} ms", f"{one.memory_before_mib:,.0f}"]
        row += [f"{one.memory_most_mib:,.0f}", f"{one.recovered_s} s"]
        made.add_row(one.entry, *row, "yes" if all(one.checks.values()) else "NO")
    return made


def chart(results: Sequence[Result]) -> str:
    """Rates, latencies and memory over time for each entry point."""
    rows: list[tuple[str, Mapping[str, lines.Line]]] = []
    for one in results:
        seconds = one.timeline
        rates = {"offered": "offered", "answered": "answered", "rejected": "rejected", "failed": "failed"}
        rows.append((f"{one.entry}: requests a second", _lines(seconds, rates)))
        late = {"answered p99": "p99_ms", "answered p50": "p50_ms", "rejected p99": "rejected_p99_ms"}
        rows.append((f"{one.entry}: milliseconds", _lines(seconds, late)))
        rows.append((f"{one.entry}: MiB of the service", _lines(seconds, {"memory": "memory_mib"})))
    return lines.panels("Twice the capacity", "s", rows)


def _lines(seconds: Sequence[Second], named: Mapping[str, str]) -> dict[str, lines.Line]:
    return {label: [(float(s.at), float(getattr(s, name))) for s in seconds] for label, name in named.items()}


def main(
    people: Annotated[int, typer.Option(help="How many users.")] = 5_000,
    friends: Annotated[str, typer.Option(help="Fewest and most friends of a user.")] = "200-400",
    seed: Annotated[int, typer.Option(help="Seed of population and requests.")] = 1,
    times: Annotated[float, typer.Option(help="Offered rate as a multiple of the capacity.")] = 2.0,
    seconds: Annotated[int, typer.Option(help="Seconds that each entry point is flooded.")] = 300,
    entry: Annotated[str, typer.Option(help="Only this entry point: sync, api or webhook.")] = "",
    unbounded: Annotated[
        bool, typer.Option("--unbounded", help="Run without the bounds, for comparison.")
    ] = False,
    out: Annotated[
        Path | None, typer.Option("--json", help="Write the figures here, and a chart next to them.")
    ] = None,
) -> None:
    """Flood every entry point of the service, one after the other."""
    low, high = (int(word) for word in friends.split("-"))
    before = measure.machine()
    population = generate(people, low, high, seed)
    plan = Plan(seed, times, seconds, entry, UNBOUNDED if unbounded else {})
    results, versions = uvloop.run(run(population, plan))
    Console().print(table(results))
    if out is not None:
        document = {
            "command": " ".join(["python -m bench.system.overload", *sys.argv[1:]]),
            "machine": before,
            "versions": versions,
            "seed": seed,
            "people": people,
            "unbounded": unbounded,
            "results": [figures(one) for one in results],
        }
        out.parent.mkdir(parents=True, exist_ok=True)
        out.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
        out.with_suffix(".svg").write_text(chart(results), encoding="utf-8")


if __name__ == "__main__":
    typer.run(main)
