"""Twice as much as can be done, for minutes, on every entry: what stays bounded, who is sent away, how soon it is over.

The whole system with its defaults; for each entry (webhook, API, sync) first how much it answers a second, then more
than that for long, then calm. Memory must be bounded, what is let in answered in time, the rest told at once when to
come back, all of it counted, and seconds later everything as before. Of a webhook call all events are accepted or
none. Run it with ``make bench-overload``; ``--unbounded`` shows the same without the bounds.
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
EVENTS = 20
"""Presence events of one webhook call."""
CLIENTS = 16
CALLERS = 500
"""Users who call, so that no rate limit of one of them is met."""
LATE_MS = 2_500.0
"""TARGET_LATENCY_SECONDS (1 s) is what a call should take; what is let in may take this long in the worst hundredth."""
GROWTH_MIB = 128.0
SOON = 5.0
"""Seconds in which everything must be as before."""
UNBOUNDED = {
    "MAX_CONCURRENT_REQUESTS": "10000",
    "TARGET_LATENCY_SECONDS": "60",
    "MAX_STREAM_ENTRIES": "100000000",
    "MAX_CONNECTIONS": "1000000",
}


@dataclass(frozen=True, slots=True)
class Result:
    """One entry, measured."""

    entry: str
    capacity: float
    """Calls a second that `CLIENTS` callers were answered, who wait for each other."""
    rate: float
    seconds: int
    timeline: list[Second]
    answered: int
    sent_away: int
    failed: int
    how: dict[str, int]
    calm_p99_ms: float
    p50_ms: float
    p99_ms: float
    most_ms: float
    away_p99_ms: float
    memory_before_mib: float
    memory_most_mib: float
    recovered_s: float
    """From the end of the flood until twenty calls in a row are answered well and soon; -1 for not within a minute."""
    counted: bool
    """Whether the service's own counts of calls that were sent away are those of the callers."""
    whole: bool | None
    """Whether all events of all accepted webhook calls, and no others, were counted as accepted."""

    @property
    def held(self) -> dict[str, bool]:
        """What must be so."""
        return {
            "memory bounded": self.memory_most_mib - self.memory_before_mib <= GROWTH_MIB,
            "answered in time": self.p99_ms <= LATE_MS,
            "the rest told when to come back": self.failed == 0,
            "over within seconds": 0 <= self.recovered_s <= SOON,
            "counted": self.counted,
            "webhooks whole": self.whole is not False,
        }


class Entries:
    """What is asked at each entry, made beforehand so that asking costs next to nothing."""

    def __init__(self, where: ConnectionInfo, population: Population, seed: int) -> None:
        chance = random.Random(seed)
        self._users = chance.sample(population.ids, min(CALLERS, len(population.ids)))
        self._everybody = population.ids
        self._chance = chance
        self._shards = where.settings.shard_map()
        tokens = [mint(where.settings, user, time.time(), 7200) for user in self._users]
        self._sync = [_get("/v1/sync", token) for token in tokens]
        self._page = [_get("/v1/friends?limit=100", token) for token in tokens]

    def all(self) -> dict[str, Request]:
        """By the name of the entry."""
        return {"sync": self._of(self._sync), "api": self._of(self._page), "webhook": self.webhook}

    @staticmethod
    def _of(requests: Sequence[bytes]) -> Request:
        return lambda number: requests[number % len(requests)]

    def webhook(self, number: int) -> bytes:
        """Joins and leaves of anybody, now."""
        now = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        action = "joined" if number % 2 else "left"
        users = self._chance.sample(self._everybody, EVENTS)
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
    """The service's own counts: calls sent away at once, and presence events accepted by the webhook."""
    connection = await Connection.to(port)
    text = (await connection.get("/metrics")).decode()
    connection.close()
    shed = re.findall(r"^friends_http_shed_total\{.*\} (\S+)$", text, re.MULTILINE)
    stopped = re.findall(r"^friends_backpressure_total (\S+)$", text, re.MULTILINE)
    limited = re.findall(r"^friends_http_rate_limited_total\{.*\} (\S+)$", text, re.MULTILINE)
    heard = re.findall(r'^friends_presence_events_total\{source="webhook"\} (\S+)$', text, re.MULTILINE)
    return {"away": sum(map(float, [*shed, *stopped, *limited])), "events": sum(map(float, heard))}


async def measured(name: str, request: Request, made: Stack, wanted: tuple[float, int]) -> Result:
    """One entry: calm, flood, calm."""
    times, seconds = wanted
    service = made.servers[-1]
    port = int(made.api.rpartition(":")[2])
    calm = Flood(port, service.pid)
    await calm.calm(request, 3.0, CLIENTS)  # warm
    calm.total.well = measure.Stopwatch()
    capacity = await calm.calm(request, 6.0, CLIENTS)
    quiet = calm.total.well.timing()
    calm.close()
    before, resident = await counts(port), memory_kb(service.pid) / 1024
    flood = Flood(port, service.pid)
    timeline = await flood.at(request, max(20.0, capacity * times), seconds)
    recovered = await recovery(request, (port, service.pid), 4 * quiet.p99)
    after = await counts(port)
    well, away = flood.total.well.timing(), flood.total.away.timing()
    flood.close()
    told = sum(count for how, count in flood.how.items() if how.startswith(("429", "503")))
    failed = sum(count for how, count in flood.how.items() if how != "200") - away.calls
    return Result(
        entry=name,
        capacity=round(capacity, 1),
        rate=round(max(20.0, capacity * times), 1),
        seconds=seconds,
        timeline=timeline,
        answered=well.calls,
        sent_away=away.calls,
        failed=failed,
        how=dict(flood.how),
        calm_p99_ms=quiet.p99,
        p50_ms=well.p50,
        p99_ms=well.p99,
        most_ms=well.most,
        away_p99_ms=away.p99,
        memory_before_mib=round(resident, 1),
        memory_most_mib=max(one.memory_mib for one in timeline),
        recovered_s=recovered[0],
        counted=after["away"] - before["away"] == told + recovered[1],
        whole=_whole(name, flood, after["events"] - before["events"], recovered[2]),
    )


def _whole(name: str, flood: Flood, events: float, beside: int) -> bool | None:
    """Events of calls without an answer may have been accepted; then this cannot be said."""
    lost = sum(count for how, count in flood.how.items() if not how[:3].isdigit())
    return None if name != "webhook" or lost else events == EVENTS * (flood.how["200"] + beside)


async def recovery(request: Request, where: tuple[int, int], soon_ms: float) -> tuple[float, int, int]:
    """Seconds until twenty calls in a row are answered well and soon, and the calls of it sent away and answered."""
    began, row, probe = time.monotonic(), 0, Flood(*where)
    since = began
    while row < 20 and time.monotonic() - began < 60:
        asked = time.monotonic()
        how = await probe.call(request(random.randrange(10**6)), asked)
        fine = how == "200" and (time.monotonic() - asked) * 1000 <= max(100.0, soon_ms)
        row = row + 1 if fine else 0
        since = time.monotonic() if not fine else since
        await asyncio.sleep(0.02)
    probe.close()
    away = sum(count for how, count in probe.how.items() if how.startswith(("429", "503")))
    return round(since - began, 2) if row >= 20 else -1.0, away, probe.how["200"]


@dataclass(frozen=True, slots=True)
class Plan:
    """One run."""

    seed: int
    times: float
    """What is offered, of what is answered when calm."""
    seconds: int
    entry: str
    """Only this one; empty: all."""
    more: Mapping[str, str]
    """Options of the service."""


async def run(population: Population, plan: Plan) -> Any:
    """The entries on one stack; the results, and what answered."""
    with tempfile.TemporaryDirectory() as folder:
        data, told = await load(Path(folder), population, plan.seed), Path(folder) / "stack.json"
        async with stacked.system(data, told) as made:
            await stacked.restarted(made, {"WEBHOOK_SECRET": SECRET, "LOG_LEVEL": "warning", **plan.more})
            where = read_connection_info(told)
            async with connect(where.settings) as graph:
                online = random.Random(plan.seed).sample(population.ids, int(ONLINE * len(population.ids)))
                await flag(graph, online)
            results = []
            for name, request in Entries(where, population, plan.seed).all().items():
                if plan.entry and name != plan.entry:
                    continue
                results.append(await measured(name, request, made, (plan.times, plan.seconds)))
                console.print(_said(results[-1]))
                await asyncio.sleep(3.0)
            return results, stacked.versions(made)


def _said(one: Result) -> str:
    broken = [what for what, held in one.held.items() if not held]
    return f"{one.entry}: {one.rate:,.0f}/s offered, {'all held' if not broken else 'NOT ' + ', NOT '.join(broken)}"


def figures(one: Result) -> dict[str, Any]:
    """As they are kept: rates a second, what held, and the seconds one by one."""
    found = asdict(one) | {"held": one.held}
    for name in ("answered", "sent_away"):
        found[f"{name}_per_second"] = round(found.pop(name) / one.seconds, 1)
    return found


def table(results: Sequence[Result]) -> Table:
    """For the terminal."""
    made = Table("entry", "answers/s calm", "offered/s", "answered/s", "sent away/s", "failed")
    for name in (
        "p99 calm",
        "p99 of answered",
        "p99 of sent away",
        "MiB before",
        "MiB most",
        "recovered",
        "held",
    ):
        made.add_column(name)
    for one in results:
        row = [f"{one.capacity:,.0f}", f"{one.rate:,.0f}", f"{one.answered / one.seconds:,.0f}"]
        row += [f"{one.sent_away / one.seconds:,.0f}", str(one.failed), f"{one.calm_p99_ms:,.0f} ms"]
        row += [f"{one.p99_ms:,.0f} ms", f"{one.away_p99_ms:,.0f} ms", f"{one.memory_before_mib:,.0f}"]
        row += [f"{one.memory_most_mib:,.0f}", f"{one.recovered_s} s"]
        made.add_row(one.entry, *row, "yes" if all(one.held.values()) else "NO")
    return made


def chart(results: Sequence[Result]) -> str:
    """Rates, latencies and memory over time, entry after entry."""
    rows: list[tuple[str, Mapping[str, lines.Line]]] = []
    for one in results:
        seconds = one.timeline
        rates = {"offered": "offered", "answered": "answered", "sent away": "sent_away", "failed": "failed"}
        rows.append((f"{one.entry}: calls a second", _lines(seconds, rates)))
        late = {"answered p99": "p99_ms", "answered p50": "p50_ms", "sent away p99": "away_p99_ms"}
        rows.append((f"{one.entry}: milliseconds", _lines(seconds, late)))
        rows.append((f"{one.entry}: MiB of the service", _lines(seconds, {"memory": "memory_mib"})))
    return lines.panels("Twice as much as can be done", "s", rows)


def _lines(seconds: Sequence[Second], named: Mapping[str, str]) -> dict[str, lines.Line]:
    return {label: [(float(s.at), float(getattr(s, name))) for s in seconds] for label, name in named.items()}


def main(
    people: Annotated[int, typer.Option(help="How many people.")] = 5_000,
    friends: Annotated[str, typer.Option(help="Fewest and most friends.")] = "200-400",
    seed: Annotated[int, typer.Option(help="Of population and calls.")] = 1,
    times: Annotated[float, typer.Option(help="How many times what it answers when calm.")] = 2.0,
    seconds: Annotated[int, typer.Option(help="How long each entry is flooded.")] = 300,
    entry: Annotated[str, typer.Option(help="Only this one: sync, api or webhook.")] = "",
    unbounded: Annotated[bool, typer.Option("--unbounded", help="Without the bounds, to compare.")] = False,
    out: Annotated[
        Path | None, typer.Option("--json", help="Write figures here, and a chart beside.")
    ] = None,
) -> None:
    """Flood every entry of the service, one after the other."""
    low, high = (int(word) for word in friends.split("-"))
    before = measure.machine()
    population = generate(people, low, high, seed)
    plan = Plan(seed, times, seconds, entry, UNBOUNDED if unbounded else {})
    results, versions = uvloop.run(run(population, plan))
    Console().print(table(results))
    if out is not None:
        told = {
            "command": " ".join(["python -m bench.system.overload", *sys.argv[1:]]),
            "machine": before,
            "versions": versions,
            "seed": seed,
            "people": people,
            "unbounded": unbounded,
            "results": [figures(one) for one in results],
        }
        out.parent.mkdir(parents=True, exist_ok=True)
        out.write_text(json.dumps(told, indent=1) + "\n", encoding="utf-8")
        out.with_suffix(".svg").write_text(chart(results), encoding="utf-8")


if __name__ == "__main__":
    typer.run(main)
