"""Storm benchmark: nearly all users drop and return within seconds, with storm mode and without, on the whole system.

Databases, origin, API and bridge run as ``friends-presence up`` starts them; one in ten users stays and watches. A scene is
in `storm_scene`. Run it with ``make bench-storm``; everything runs on this machine, the clients included.
"""

from __future__ import annotations

import json
import random
import resource
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer
import uvloop
from rich.console import Console
from rich.table import Table

from bench.charts import bars
from bench.harness import measure, stacked
from bench.peers import friends as peers_friends
from bench.peers import ours as peers_ours
from bench.peers.friends import Friends
from bench.system.storm_scene import Figures, Stage, town
from graph_service.model.sharding import ShardMap
from graph_service.valkey.cluster import open_valkey
from pubnub_bridge.debounce.storm_detector import STORM_BATCH_WINDOW_SECONDS
from pubnub_bridge.settings import Settings

console = Console(stderr=True)
WATCHER_SHARE = 0.1
"""Share of the online users who stay and watch."""
AWAY_SECONDS = 8.0
"""Longer than the debounce time, so that friends are notified without storm mode; shorter than that of storms."""
PEERS_SECONDS = {"ejabberd": 17.7, "Nakama": 3.4}
"""Seconds for the same 900 users of the same graph on an idle machine of this kind: all connections break and reconnect at
once, until every user sees all online friends. The better of two runs of ejabberd, the worse of two of Nakama;
`bench.peers` measures ejabberd again."""
BUDGET_SECONDS = 3.0


class Programme:
    """The scenes of one crowd in one mode."""

    def __init__(self, *, stage: Stage, settings: Settings, storm_protection: bool) -> None:
        self._stage, self._settings, self._on = stage, settings, storm_protection
        self.results: list[Figures] = []

    async def arrive(self, people: Sequence[int]) -> None:
        """All users join for the first time."""
        figures = await self._stage.act("all users join", [], people)
        self._record(figures, self._settings.debounce_online_seconds)

    async def at_once(self, people: Sequence[int]) -> None:
        """All users leave and return at once, within any debounce time."""
        await self._stage.until_calm()
        self._record(await self._stage.act("drop, back at once", people, people), 0.0)

    async def later(self, people: Sequence[int]) -> None:
        """All users return after longer than the debounce time."""
        what = f"drop, back after {AWAY_SECONDS:g} s"
        debounce_seconds = 0.0 if self._on else self._settings.debounce_online_seconds
        await self._stage.until_calm()
        self._record(await self._stage.act(what, people, people, AWAY_SECONDS), debounce_seconds)

    async def for_good(self, people: Sequence[int]) -> None:
        """All users leave; once all views are right, they return."""
        settings = self._settings
        debounce_seconds = (
            max(settings.debounce_leave_seconds, settings.storm_debounce_seconds)
            if self._on
            else settings.debounce_leave_seconds
        )
        await self._stage.until_calm()
        self._record(await self._stage.act("leave for good", people, []), debounce_seconds)
        self._record(
            await self._stage.act("come back after that", [], people), settings.debounce_online_seconds
        )

    def _record(self, figures: Figures, debounce_s: float) -> None:
        figures.debounce_s = debounce_s
        figures.window_s = STORM_BATCH_WINDOW_SECONDS if self._on and debounce_s else 0.0
        self.results.append(figures)
        console.print(
            f"storm mode {'on' if self._on else 'off'}: {figures.what}: right after {figures.right_s:.1f} s, "
            f"{figures.aside_s:.1f} s without debounce time and window, {figures.offlines:,} offlines received, {figures.publishes:,} publishes"
            + (f", retries: {figures.retries}" if figures.retries else "")
        )


async def crowd(folder: Path, people: Friends, large: bool) -> list[dict[str, Any]]:
    """One crowd with storm mode, and then, after a restart of the service, without."""
    data = await peers_ours.prepare(folder, people)
    shards = 1000 if large else 100
    more = {"PRESENCE_SHARDS": str(shards), "MAX_CONNECTIONS": "20000"}
    rows: list[dict[str, Any]] = []
    async with (
        peers_ours.running(data, people, more) as ours,
        open_valkey(ours.made.engines.redis_url) as valkey,
    ):
        stage = Stage(ours=ours, friends=people, valkey=valkey, shards=ShardMap(20, shards))
        for storm_protection in (True, False):
            programme = Programme(stage=stage, settings=Settings(), storm_protection=storm_protection)
            if storm_protection:
                await programme.arrive(people.online)
            else:
                await stacked.restarted(ours.made, {**more, "STORM_PROTECTION": "off"})
            await _scenes(programme, people.online, large)
            rows += [
                {
                    "online": len(people.online),
                    "stormMode": storm_protection,
                    "asideSeconds": round(one.aside_s, 2),
                }
                | one.row()
                for one in programme.results
            ]
    return rows


async def _scenes(programme: Programme, online: Sequence[int], large: bool) -> None:
    acting = random.Random(3).sample(online, round(len(online) * (1 - WATCHER_SHARE)))
    if large:
        await programme.later(acting)
        return
    await programme.at_once(online)
    await programme.later(acting)
    await programme.for_good(acting)


async def run(people: int, online: float, seed: int, small: int) -> list[dict[str, Any]]:
    """The crowd of the comparison with peers, then the large one."""
    rows: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory(prefix="fp-storm-") as name:
        folders = [Path(name) / one for one in ("small", "large")]
        for folder in folders:
            folder.mkdir()
        if small:
            console.print(f"{small:,} users, the friendships of the comparison with peers")
            rows += await crowd(folders[0], peers_friends.make(small), large=False)
        if people:
            made = town(people, online, seed)
            console.print(f"{people:,} users, {len(made.online):,} of them online")
            rows += await crowd(folders[1], made, large=True)
    return rows


def main(
    people: Annotated[int, typer.Option(help="How many users; 0 leaves the large crowd out.")] = 20_000,
    online: Annotated[float, typer.Option(help="Share of the users online.")] = 0.3,
    small: Annotated[
        int, typer.Option(help="Users of the crowd of the comparison with peers; 0 leaves it out.")
    ] = 3000,
    seed: Annotated[int, typer.Option(help="Seed of the population.")] = 1,
    out: Annotated[Path | None, typer.Option("--json", help="Write the figures here.")] = None,
) -> None:
    """Measure storms."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    before, began = measure.machine(), time.monotonic()
    rows = uvloop.run(run(people, online, seed, small))
    Console().print(table(rows))
    if out:
        write(out, rows, before, time.monotonic() - began, seed)


def table(rows: Sequence[dict[str, Any]]) -> Table:
    """All scenes, with storm mode on and off below each other."""
    columns = (
        "online",
        "scene",
        "storm mode",
        "views right (s)",
        "debounce + window (s)",
        "without these (s)",
        "offlines received",
    )
    more = ("syncs received", "publishes", "flags", "peak entries", "wrong views", "degraded")
    made = Table(*columns, *more)
    for row in sorted(rows, key=lambda one: (one["online"], one["what"], not one["stormMode"])):
        made.add_row(
            f"{row['online']:,}", row["what"], "on" if row["stormMode"] else "off", f"{row['right_s']:.2f}",
            f"{row['hold_s']:g} + {row['window_s']:g}", f"{row['asideSeconds']:.2f}", f"{row['offlines']:,}",
            f"{row['syncs']:,}", f"{row['publishes']:,}", f"{row['flags']:,}", f"{row['peak_entries']:,}",
            str(row["wrong"]), row["degraded"] or "no",
        )  # fmt: skip
    return made


def chart(rows: Sequence[dict[str, Any]]) -> str:
    """Seconds until every view was right, without debounce time and window; the peers in the scene they were measured in."""
    groups: dict[str, dict[str, float]] = {}
    for row in rows:
        group = groups.setdefault(f"{row['online']:,}: {row['what']}", {})
        group["storm mode" if row["stormMode"] else "without"] = max(0.01, row["asideSeconds"])
        if row["what"] == "drop, back at once":
            group |= PEERS_SECONDS
    return bars.bars("Until every view is right, without debounce time and window", "s", list(groups.items()))


def write(
    out: Path, rows: Sequence[dict[str, Any]], before: dict[str, object], seconds: float, seed: int
) -> None:
    """Write the figures and the chart."""
    mine = [row["asideSeconds"] for row in rows if row["what"] == "drop, back at once"]
    document = {
        "command": " ".join(["python -m bench.system.storm", *sys.argv[1:]]),
        "date": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "machine": before,
        "seed": seed,
        "seconds": round(seconds),
        "budget": {
            "what": "drop, back at once, 900 users: views right, without debounce time and window",
            "atMost": BUDGET_SECONDS,
        },
        "withinBudget": bool(mine) and max(mine) <= BUDGET_SECONDS,
        "peersSeconds": PEERS_SECONDS,
        "notes": [
            "Debounce time 5 s, window 0 s when calm; in storm mode a leave is debounced for at most 30 s, the window is at least 3 s.",
            "There are so many shards that none is in PubNub's interval mode, which adds up to 10 s.",
            f"One in {round(1 / WATCHER_SHARE)} watches, except in 'drop, back at once', where all users drop.",
        ],
        "results": list(rows),
    }
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")
    out.with_suffix(".svg").write_text(chart(rows), encoding="utf-8")


if __name__ == "__main__":
    typer.run(main)
