"""Command of the comparison: ``python -m bench.peers --json FILE``."""

from __future__ import annotations

import json
import resource
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer
import uvloop
from rich.console import Console
from rich.table import Table

from bench.harness import measure
from bench.peers import ejabberd, ours, questions, show
from bench.peers.fair import SECTIONS
from bench.peers.friends import Friends, make
from bench.peers.play import Figures, Plan, Show
from bench.peers.quoted import NAKAMA

console = Console(stderr=True)
RESULT = Path("docs/benchmarks/peers.json")
COMPARISON = Path("docs/comparison.md")
RATES = (20.0, 40.0, 60.0, 120.0, 180.0, 260.0)
"""Transitions a second of the first two systems: the same trace for both, up to the first failed step."""
OURS: Mapping[str, tuple[Mapping[str, str], Plan]] = {
    "ours": ({}, Plan(RATES)),
    "window": (
        {"BATCH_WINDOW_MIN_SECONDS": "1"},
        Plan((60.0, 120.0, 180.0, 260.0), warm_s=8.0, storms=False),
    ),
    # With a debounce time of 5 s, 900 users cannot change faster: each must stay for longer than that.
    "limit": (
        {
            "BATCH_WINDOW_MIN_SECONDS": "1",
            "DEBOUNCE_ONLINE_SECONDS": "1",
            "DEBOUNCE_LEAVE_SECONDS": "1",
            "DEBOUNCE_TIMEOUT_SECONDS": "1",
        },
        Plan((120.0, 180.0, 260.0, 340.0), warm_s=4.0, storms=False),
    ),
}
PARTS = ("ejabberd", *OURS, "questions")


def main(
    parts: Annotated[
        list[str] | None,
        typer.Option("--part", help=f"Only these: {', '.join(PARTS)}; the stored figures of others stay."),
    ] = None,
    people: Annotated[int, typer.Option(help="How many users, at least 2,000.")] = 3000,
    seed: Annotated[int, typer.Option(help="Seed of the friendships.")] = 1,
    out: Annotated[Path, typer.Option("--json", help="Where the figures, charts and page go.")] = RESULT,
) -> None:
    """Compare friend presence with ejabberd, and the graph with PostgreSQL, on this machine."""
    wanted = parts or list(PARTS)
    if unknown := set(wanted) - set(PARTS):
        raise typer.BadParameter(f"no such part: {', '.join(sorted(unknown))}")
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    before, began = measure.machine(), time.monotonic()
    friends = make(people, seed)
    found = uvloop.run(_run(friends, wanted))
    about = {
        "command": " ".join(["python -m bench.peers", *sys.argv[1:]]),
        "date": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "machine": before,
        "seconds": round(time.monotonic() - began),
    }
    document = about | _figures(out, friends, {name: one | {"run": about} for name, one in found.items()})
    _print(document)
    _write(out, document)


def _figures(out: Path, friends: Friends, found: Mapping[str, Figures]) -> dict[str, Any]:
    """The document, with the figures of an earlier run for the other parts."""
    earlier: dict[str, Figures] = json.loads(out.read_text("utf-8"))["parts"] if out.exists() else {}
    parts = {name: one for name in PARTS if (one := found.get(name) or earlier.get(name))}
    return {
        "versions": show.versions(parts),
        "population": {
            "people": len(friends.of),
            "online": len(friends.online),
            "friends": round(friends.mean, 1),
            "of them online": round(friends.mean_online, 1),
            "seed": friends.seed,
        },
        "results": show.results(parts),
        "parts": parts,
        "quoted": {"Nakama": NAKAMA},
        "fair": SECTIONS,
    }


async def _run(friends: Friends, wanted: Sequence[str]) -> dict[str, Figures]:
    found: dict[str, Figures] = {}
    with tempfile.TemporaryDirectory(prefix="fp-peers-") as name:
        folder = Path(name)
        if "ejabberd" in wanted:
            found["ejabberd"] = await _ejabberd(folder, friends)
        if set(wanted) - {"ejabberd"}:
            data = await ours.prepare(folder / "ours", friends)
            console.print("the graph is loaded")
            for variant, (options, plan) in OURS.items():
                if variant in wanted:
                    found[variant] = await _ours(data, friends, options, plan)
            if "questions" in wanted:
                found["questions"] = await questions.measure_queries(data, friends, console.print)
    return found


async def _ejabberd(folder: Path, friends: Friends) -> Figures:
    place = folder / "ejabberd"
    place.mkdir()
    try:
        async with ejabberd.running(place, friends) as node:
            console.print(f"ejabberd {ejabberd.version()} is ready")
            figures = await Show(system=node, friends=friends, report=console.print).run(Plan(RATES))
            received = {
                "stanzas": node.listener.stanzas,
                "probeReplies": node.listener.replies,
                "lost": node.listener.lost,
            }
            return figures | {"version": ejabberd.version(), "heard": received}
    except ejabberd.EjabberdUnavailable as problem:
        console.print(f"without ejabberd: {problem}")
        return {"skipped": str(problem)}


async def _ours(data: Path, friends: Friends, options: Mapping[str, str], plan: Plan) -> Figures:
    async with ours.running(data, friends, options) as system:
        figures = await Show(system=system, friends=friends, report=console.print).run(plan)
        engines = {server.engine.name: server.agent for server in system.made.servers}
        return figures | {
            "options": dict(options),
            "versions": engines,
            "heard": dict(system.backend.counters),
        }


def _print(document: Mapping[str, Any]) -> None:
    for heads, *rows in show.tables(document["parts"]):
        table = Table(*heads)
        for row in rows:
            table.add_row(*row)
        Console().print(table)


def _write(out: Path, document: Mapping[str, Any]) -> None:
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")
    out.with_suffix(".md").write_text(show.page(document), encoding="utf-8")
    for end, svg in show.charts(show.systems(document["parts"])).items():
        out.with_name(f"{out.stem}{end}.svg").write_text(svg, encoding="utf-8")
    if out == RESULT:
        COMPARISON.write_text(
            show.compared(COMPARISON.read_text("utf-8"), document["parts"]), encoding="utf-8"
        )


if __name__ == "__main__":
    typer.run(main)
