"""Limits of the pure-PubNub variant: friends by churn, in our Functions runtime at the platform's documented limits.

Node runs one cell of the grid (`pure_variant.mjs`); the bridge's figure is read from its benchmark. The clock is virtual, so
no result depends on the machine. PubNub itself was never called. ``python -m bench.system.pure_variant``.
"""

from __future__ import annotations

import asyncio
import json
import shutil
import sys
import time
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from bench.charts.heatmap import Grid, heatmaps
from bench.harness.measure import machine

CELL = Path(__file__).with_suffix(".mjs")
RESULT = Path("docs/benchmarks/pure.json")
BRIDGE = Path("docs/benchmarks/bridge.json")
FRIENDS = (20, 50, 100, 250, 750)
CHANGES = (2, 10, 20, 50, 100, 200)
FORWARDED = (10, 20, 33, 50, 100, 200)
SUSTAINED = "changes a second, everything on this machine, window 1 s"
Json = dict[str, Any]


async def cell(**parameters: object) -> Json:
    """The figures of one cell."""
    node = shutil.which("node", path=f"{Path(sys.executable).parent}:/usr/local/bin:/usr/bin")
    if node is None:
        raise typer.BadParameter("node is not installed; it comes with the extra 'local'")
    process = await asyncio.create_subprocess_exec(
        node, str(CELL), json.dumps(parameters), stdout=asyncio.subprocess.PIPE
    )
    out, _ = await process.communicate()
    if process.returncode:
        raise RuntimeError(f"the cell {parameters} failed")
    found: Json = json.loads(out)
    return found


async def measured(seconds: int) -> Json:
    """All cells: the grid, the original batch of 20, and forwarding into the bridge."""
    same: Json = {"online": 0.3, "seconds": seconds, "hold": 5, "interval": 1, "late": 10}
    grid = [
        {"friends": friends, "changes": changes}
        | await cell(friends=friends, changes=changes, batch=10, **same)
        for friends in FRIENDS
        for changes in CHANGES
    ]
    twenty = [
        {"friends": friends} | await cell(friends=friends, changes=2, batch=20, **same) for friends in FRIENDS
    ]
    forward = [
        {"changes": changes} | await cell(friends=0, changes=changes, batch=10, forward=True, **same)
        for changes in FORWARDED
    ]
    return {"conditions": same, "grid": grid, "batchOf20": twenty, "afterPresence": forward}


def bridge_sustains() -> float | None:
    """Changes a second that the bridge sustained at 750 friends, from its benchmark. None where it was not run."""
    if not BRIDGE.exists():
        return None
    results = json.loads(BRIDGE.read_text("utf-8"))["results"]
    return next((float(one["value"]) for one in results if one["what"] == SUSTAINED), None)


def chart(found: Json) -> str:
    """Grids of the pure variant, of the bridge, and of the Function that forwards."""
    rows, columns = [f"{friends} friends" for friends in FRIENDS], [f"{changes}/s" for changes in CHANGES]
    at = {friends: row for row, friends in enumerate(FRIENDS)}, {c: col for col, c in enumerate(CHANGES)}
    pure = {(at[0][one["friends"]], at[1][one["changes"]]): one["told"] for one in found["grid"]}
    sustained = found["bridgeSustains"] or 0.0
    bridge = {(0, col): 1.0 for col, changes in enumerate(CHANGES) if changes <= sustained}
    forward = {(0, col): one["forwarded"] for col, one in enumerate(found["afterPresence"])}
    grids = (
        Grid("pure PubNub", rows, columns, pure),
        Grid("bridge, 2 cores", ["750 friends"], columns, bridge),
        Grid("after-presence.js", ["forwarded"], [f"{changes}/s" for changes in FORWARDED], forward),
    )
    note = (
        "30 % of friends online; in time: 10 s beyond the debounce time. Pure: our runtime at the documented limits, virtual clock. "
        f"Bridge: what its benchmark sustained ({sustained:.0f}/s)."
    )
    return heatmaps("Share of notifications delivered in time", "changes a second", grids, note)


def table(found: Json) -> Table:
    shown = Table("friends", *(f"{changes}/s" for changes in CHANGES), title="delivered in time, pure PubNub")
    for friends in FRIENDS:
        shares = [one["told"] for one in found["grid"] if one["friends"] == friends]
        shown.add_row(str(friends), *(f"{share:.1%}" for share in shares))
    return shown


def main(
    to: Annotated[
        Path, typer.Option("--json", help="File for the figures; the chart is written next to it.")
    ] = RESULT,
    seconds: Annotated[int, typer.Option(min=10, help="Virtual seconds of churn in each cell.")] = 60,
) -> None:
    """Measure the limits of the pure-PubNub variant, compared with the bridge."""
    began = time.time()
    found = {
        "command": f"python -m bench.system.pure_variant --json {to} --seconds {seconds}",
        "date": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "machine": machine(),
        **asyncio.run(measured(seconds)),
        "bridgeSustains": bridge_sustains(),
    }
    found["seconds"] = round(time.time() - began)
    to.parent.mkdir(parents=True, exist_ok=True)
    to.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    to.with_suffix(".svg").write_text(chart(found), encoding="utf-8")
    Console().print(table(found))


if __name__ == "__main__":
    typer.run(main)
