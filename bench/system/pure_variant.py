"""Where the pure-PubNub variant ends: friends by churn, in our Functions runtime at the platform's documented limits.

Knows the cell that Node runs (`pure_variant.mjs`) and reads the bridge's figure from its own benchmark. The clock is
virtual, so nothing here depends on the machine; PubNub itself was never asked. ``python -m bench.system.pure_variant``.
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


async def cell(**given: object) -> Json:
    """One cell's figures."""
    node = shutil.which("node", path=f"{Path(sys.executable).parent}:/usr/local/bin:/usr/bin")
    if node is None:
        raise typer.BadParameter("node is not installed; it comes with the extra 'local'")
    process = await asyncio.create_subprocess_exec(
        node, str(CELL), json.dumps(given), stdout=asyncio.subprocess.PIPE
    )
    out, _ = await process.communicate()
    if process.returncode:
        raise RuntimeError(f"the cell {given} failed")
    found: Json = json.loads(out)
    return found


async def measured(seconds: int) -> Json:
    """All cells: the grid, the original batch of 20, and the way into the bridge."""
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
    """Changes a second that the bridge sustained at 750 friends, from its own benchmark; None without one."""
    if not BRIDGE.exists():
        return None
    results = json.loads(BRIDGE.read_text("utf-8"))["results"]
    return next((float(one["value"]) for one in results if one["what"] == SUSTAINED), None)


def chart(found: Json) -> str:
    """The pure variant's grid, the bridge's under it, and the Function that forwards."""
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
        "30 % of friends online; in time: 10 s beyond the hold. Pure: our runtime at the documented limits, virtual clock. "
        f"Bridge: what its own benchmark sustained ({sustained:.0f}/s)."
    )
    return heatmaps(
        "Share of what friends were owed that they were told in time", "changes a second", grids, note
    )


def table(found: Json) -> Table:
    """For the person who waits."""
    shown = Table("friends", *(f"{changes}/s" for changes in CHANGES), title="told in time, pure PubNub")
    for friends in FRIENDS:
        told = [one["told"] for one in found["grid"] if one["friends"] == friends]
        shown.add_row(str(friends), *(f"{share:.1%}" for share in told))
    return shown


def main(
    to: Annotated[Path, typer.Option("--json", help="Where the figures go; the chart goes beside.")] = RESULT,
    seconds: Annotated[int, typer.Option(min=10, help="Virtual seconds of churn a cell.")] = 60,
) -> None:
    """Where the pure-PubNub variant ends, beside the bridge."""
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
