"""Publish benchmark: our publish path, the official SDK and a general HTTP client. Same sink, same messages, one run.

Starts one process for each client (`bench.bridge.publishers`) and one for the sink, which simulates a distance by a
delay. Run it with ``make bench-publish``; ``--json FILE`` stores the figures and a chart.
"""

from __future__ import annotations

import asyncio
import importlib.metadata
import json
import os
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from bench.bridge.publishers import CLIENTS, Figures
from bench.charts import bars
from bench.harness import certificate, measure

console = Console(stderr=True)
DELAYS_MILLISECONDS = (0, 20, 80)
MIN_TIMES_THE_SDK = 10.0
"""Our rate over that of the SDK's fastest handler, without delay and TLS."""
PACKAGES = ("pubnub", "httpx", "aiohttp", "uvloop")


@dataclass(frozen=True, slots=True)
class Case:
    """One client against one sink."""

    way: str
    delay_ms: int
    tls: bool
    loop: str = "uvloop"

    @property
    def where(self) -> str:
        """Sink and event loop, as a label."""
        words = [f"{self.delay_ms} ms", *(["TLS"] if self.tls else [])]
        return ", ".join([*words, *([self.loop] if self.loop != "uvloop" else [])])


@dataclass(frozen=True, slots=True)
class Measured:
    case: Case
    figures: Figures


@dataclass(frozen=True, slots=True)
class Plan:
    """Load and duration."""

    seconds: float
    in_flight: int
    ways: Sequence[str]


def main(
    seconds: Annotated[
        float, typer.Option(help="Seconds that each client publishes, without warm-up.")
    ] = 2.5,
    in_flight: Annotated[int, typer.Option(help="Concurrent publishes of each client.")] = 100,
    only: Annotated[list[str] | None, typer.Option(help="Only these clients.")] = None,
    out: Annotated[Path | None, typer.Option("--json", help="Write the figures here.")] = None,
) -> None:
    """Compare the publish paths."""
    before, began = measure.machine(), time.monotonic()
    measured = asyncio.run(_run(Plan(seconds, in_flight, only or list(CLIENTS))))
    _print(measured)
    ratio = times_the_sdk(measured)
    if ratio:
        Console().print(
            f"ours is {ratio:.1f} times the SDK's fastest handler (budget: {MIN_TIMES_THE_SDK:.0f} times)"
        )
    if out:
        out.parent.mkdir(parents=True, exist_ok=True)
        document = {
            "command": " ".join(["python -m bench.bridge.publish", *sys.argv[1:]]),
            "date": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
            "machine": before,
            "versions": {name: importlib.metadata.version(name) for name in PACKAGES},
            "inFlight": in_flight,
            "seconds": round(time.monotonic() - began),
            "timesTheSdk": ratio,
            "budget": MIN_TIMES_THE_SDK,
            "results": [asdict(one.case) | asdict(one.figures) for one in measured],
        }
        out.write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")
        title = f"CPU of the publishing process for 1,000 publishes, {in_flight} in flight"
        out.with_suffix(".svg").write_text(bars.bars(title, "ms", _cpu(measured)), encoding="utf-8")


async def _run(plan: Plan) -> list[Measured]:
    measured = []
    with tempfile.TemporaryDirectory(prefix="fp-bench-") as name:
        trusted, served = certificate.make(Path(name))
        for tls in (False, True):
            for delay_ms in DELAYS_MILLISECONDS:
                async with _sink(delay_ms, served if tls else None) as port:
                    for case in _cases(plan.ways, delay_ms, tls):
                        figures = await _client(case, port, plan, trusted)
                        measured.append(Measured(case, figures))
                        console.print(
                            f"{case.way:13} {case.where:16} {figures.rate:10,.0f} publishes/s, "
                            f"{figures.cpu_ms:8.1f} CPU ms for 1,000"
                        )
    return measured


def _cases(ways: Sequence[str], delay_ms: int, tls: bool) -> list[Case]:
    """Every client on uvloop; without delay and TLS also on asyncio's own loop."""
    cases = [Case(way, delay_ms, tls) for way in ways]
    return cases if delay_ms or tls else cases + [Case(way, delay_ms, tls, "asyncio") for way in ways]


@asynccontextmanager
async def _sink(delay_ms: int, served: Path | None) -> AsyncIterator[int]:
    command = [sys.executable, "-m", "bench.harness.stub", "--delay-ms", str(delay_ms)]
    if served:
        command += ["--certificate", str(served)]
    process = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
    assert process.stdout is not None
    try:
        yield int(await process.stdout.readline())
    finally:
        process.terminate()
        await process.wait()


async def _client(case: Case, port: int, plan: Plan, trusted: Path) -> Figures:
    command = [sys.executable, "-m", "bench.bridge.publishers", "--way", case.way, "--port", str(port)]
    command += ["--loop", case.loop, "--in-flight", str(plan.in_flight), "--seconds", str(plan.seconds)]
    if case.tls:
        command.append("--tls")
    environment = os.environ | {"SSL_CERT_FILE": str(trusted)}
    process = await asyncio.create_subprocess_exec(*command, env=environment, stdout=asyncio.subprocess.PIPE)
    try:
        async with asyncio.timeout(plan.seconds + 60):
            output, _ = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    if process.returncode:
        raise RuntimeError(f"{case.way} ({case.where}) ended with {process.returncode}")
    return Figures(**json.loads(output))


def times_the_sdk(measured: Sequence[Measured]) -> float | None:
    """Our rate over that of the SDK's fastest handler on either loop, without delay and TLS. None without both."""
    near = [one for one in measured if not one.case.delay_ms and not one.case.tls]
    mine = [one.figures.rate for one in near if one.case.way == "ours" and one.case.loop == "uvloop"]
    theirs = [one.figures.rate for one in near if one.case.way.startswith("SDK")]
    return mine[0] / max(theirs) if mine and theirs else None


def _cpu(measured: Sequence[Measured]) -> list[tuple[str, dict[str, float]]]:
    groups: dict[str, dict[str, float]] = {}
    for one in measured:
        groups.setdefault(one.case.where, {})[one.case.way] = one.figures.cpu_ms
    return list(groups.items())


def _print(measured: Sequence[Measured]) -> None:
    table = Table("sink", "client", "publishes/s", "CPU ms for 1,000", "p50 ms", "p99 ms", "of a core")
    for one in measured:
        cells = _cells(one.figures)
        table.add_row(one.case.where, one.case.way, *cells, style="bold" if one.case.way == "ours" else None)
    Console().print(table)


def _cells(figures: Figures) -> tuple[Any, ...]:
    return (
        f"{figures.rate:,.0f}",
        f"{figures.cpu_ms:,.1f}",
        f"{figures.p50:,.2f}",
        f"{figures.p99:,.2f}",
        f"{figures.busy:.0%}",
    )


if __name__ == "__main__":
    typer.run(main)
