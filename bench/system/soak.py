"""Soak test: an hour of the whole system with demo users, and whether memory, sockets and files stay flat.

Starts everything as ``friends-presence up`` does, and reads the resources of every process from the kernel. `bench.harness.flat`
decides what is flat.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import aiohttp
import typer
from rich.console import Console
from rich.table import Table

from bench.charts import lines
from bench.harness import flat
from bench.harness.measure import machine
from local_stack.engines.launcher import Options
from local_stack.stack.up import Choice, Stack, first_death, stack

RESULT = Path("docs/benchmarks/soak.json")
HEAP_MIB, PAGE_CACHE_MIB = 512, 128
"""For Neo4j. Small, so that a leak reaches the limit within the hour."""
CHART_POINTS = 60
"""Points of a line in the chart."""
COUNTED = (
    "friends_presence_events_total",
    "friends_flag_writes_total",
    "friends_notifications_total",
    "friends_publishes_total",
)
_TICKS = os.sysconf("SC_CLK_TCK")


async def soak(people: int, seconds: float, every: float, result: Path) -> dict[str, Any]:
    """One run. `result` is written after every sample, so that a run that ends early is not lost."""
    with tempfile.TemporaryDirectory(prefix="soak-") as folder:
        data = Path(folder) / "data"
        environ = {key: value for key, value in os.environ.items() if key not in {"NEO4J_URI", "REDIS_URL"}}
        choice = Choice(
            data, people=people, engines=Options(heap=HEAP_MIB, page_cache=PAGE_CACHE_MIB), environ=environ
        )
        before = machine()
        async with stack(choice, typer.echo) as made:
            watcher = asyncio.create_task(first_death(made))
            run: dict[str, Any] = {"machine": before, "python": sys.version.split()[0], "people": people}
            run |= {
                "everySeconds": every,
                "neo4jMiB": {"heap": HEAP_MIB, "pageCache": PAGE_CACHE_MIB},
                "samples": [],
            }
            began = time.monotonic()
            for at in _moments(began, seconds, every):
                await _wait(at, watcher)
                run["samples"].append({"at": round(time.monotonic() - began, 1), **sample(made, data)})
                await asyncio.to_thread(result.write_text, json.dumps(run), encoding="utf-8")
            run["loadAfter"] = os.getloadavg()[0]
            run["counted"] = await counted(made.api)
            watcher.cancel()
            with suppress(asyncio.CancelledError):
                await watcher
        return run


async def _wait(until: float, watcher: asyncio.Task[None]) -> None:
    """Wait until a time. Raises where a part of the stack has ended."""
    done, _ = await asyncio.wait([watcher], timeout=max(0.0, until - time.monotonic()))
    for task in done:
        task.result()


def _moments(began: float, seconds: float, every: float) -> Iterator[float]:
    for number in range(int(seconds / every) + 1):
        yield began + number * every


async def counted(api: str) -> dict[str, float]:
    """The service's counters at the end, which show that the system worked during the run."""
    async with aiohttp.ClientSession() as http, http.get(f"{api}/metrics") as response:
        words = [line.split() for line in (await response.text()).splitlines()]
    return {line[0]: float(line[1]) for line in words if line and line[0].startswith(COUNTED)}


def sample(made: Stack, data: Path) -> dict[str, Any]:
    """Resources of every process and sizes of the data folders."""
    processes = [server.process for server in made.servers] + made.processes
    result = {process.program.name: of_process(process.pid) for process in processes}
    folders = {name: size(data / name) for name in ("neo4j", "valkey", "logs")}
    return {"processes": result, "diskMiB": folders}


def of_process(pid: int) -> dict[str, float]:
    """Resident MiB, open descriptors, sockets among them, threads, and CPU seconds so far (proc(5))."""
    words = dict(line.split(":", 1) for line in Path(f"/proc/{pid}/status").read_text("utf-8").splitlines())
    targets = list(_targets(pid))
    fields = Path(f"/proc/{pid}/stat").read_text("utf-8").rpartition(")")[2].split()
    return {
        "rss": round(int(words["VmRSS"].split()[0]) / 1024, 2),
        "files": len(targets),
        "sockets": sum(target.startswith("socket:") for target in targets),
        "threads": int(words["Threads"]),
        "cpu": round((int(fields[11]) + int(fields[12])) / _TICKS, 2),
    }


def _targets(pid: int) -> Iterator[str]:
    for name in os.listdir(f"/proc/{pid}/fd"):  # noqa: PTH208 - Path would follow each
        with suppress(OSError):  # closed in between
            yield os.readlink(f"/proc/{pid}/fd/{name}")  # noqa: PTH115


def size(folder: Path) -> float:
    """Size of the files in a folder in MiB."""
    total = 0
    for root, _, names in os.walk(folder):
        for name in names:
            with suppress(OSError):
                total += (Path(root) / name).stat().st_blocks * 512
    return round(total / 2**20, 2)


def report(run: dict[str, Any]) -> tuple[dict[str, Any], Table]:
    """The run with its verdict as a document and as a table. The verdict is `flat` or names what grows."""
    trends = flat.judge(run["samples"])
    not_flat = [f"{one.measure} of {one.process}" for one in trends if not one.flat]
    minutes = run["samples"][-1]["at"] / 60
    made = Table(title=f"{minutes:.0f} minutes, {run['people']:,} users; slopes after the first third")
    for heading in ("process", "measure", "median", "highest", "growth/h", "bound", ""):
        made.add_column(heading, justify="right" if heading not in {"process", "measure", ""} else "left")
    for one in trends:
        figures = (f"{one.usual:,.0f}", f"{one.highest:,.0f}", f"{one.slope:+.1f}", f"{one.bound:.1f}")
        made.add_row(one.process, one.measure, *figures, "flat" if one.flat else "[red]grows[/red]")
    verdict = {
        "verdict": "flat" if not not_flat else "grows: " + ", ".join(not_flat),
        "warmUpShare": round(flat.WARM_UP_SHARE, 3),
        "cores": flat.cores(run["samples"]),
        "held": [{**asdict(one), "flat": one.flat} for one in trends],
    }
    return {**{key: run[key] for key in run if key != "samples"}, **verdict, "samples": run["samples"]}, made


def drawing(run: dict[str, Any]) -> str:
    """Memory, sockets and the data folder over the run, as SVG."""
    samples = run["samples"][:: max(1, len(run["samples"]) // CHART_POINTS)]
    names = list(samples[-1]["processes"])
    rows: list[tuple[str, dict[str, lines.Line]]] = [
        (title, {name: [(s["at"] / 60, s["processes"][name][key]) for s in samples] for name in names})
        for title, key in (("resident memory, MiB", "rss"), ("sockets", "sockets"))
    ]
    folders = samples[-1]["diskMiB"]
    disk = {name: [(s["at"] / 60, s["diskMiB"][name]) for s in samples] for name in folders}
    title = f"Soak: {run['people']:,} users on one machine. Verdict: {run['verdict']}"
    return lines.panels(title, "minutes", [*rows, ("data folder, MiB", disk)])


def main(
    minutes: Annotated[float, typer.Option(help="Length of the run.")] = 60.0,
    people: Annotated[int, typer.Option(help="Demo users; three in ten are online.")] = 600,
    visit: Annotated[float, typer.Option(help="Median length of a visit in minutes.")] = 3.0,
    every: Annotated[float, typer.Option(help="Seconds between two samples.")] = 15.0,
    json_file: Annotated[
        Path, typer.Option("--json", help="File for the figures; the chart is written next to it.")
    ] = RESULT,
    show: Annotated[
        Path | None, typer.Option(help="Judge the samples of this file instead of a new run.")
    ] = None,
) -> None:
    """Run, judge, print and write. Exit code 1 when something grows."""
    if show:
        run = json.loads(show.read_text("utf-8"))
    else:
        os.environ["DEMO_MINUTES"] = str(visit)
        command = (
            f'make soak ARGS="--minutes {minutes:g} --people {people} --visit {visit:g} --every {every:g}"'
        )
        run = {"command": command} | asyncio.run(soak(people, minutes * 60, every, json_file))
    result, table = report(run)
    Console().print(table, result["verdict"])
    json_file.write_text(json.dumps(result) + "\n", encoding="utf-8")
    json_file.with_suffix(".svg").write_text(drawing(result), encoding="utf-8")
    if result["verdict"] != "flat":
        raise typer.Exit(1)


if __name__ == "__main__":
    typer.run(main)
