"""Storm: nearly everybody drops and returns within seconds, with storm mode and without, on the whole system.

Engines, origin, API and bridge run as ``friends-presence up`` starts them, people are clients on the wire; one in ten
stays and watches. Knows the programme and how it is shown; what happens in a scene is `storm_scene`. Run it with
``make bench-storm``; everything runs on this machine, the clients included.
"""

from __future__ import annotations

import json
import random
import resource
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict
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
WATCH = 0.1
"""Of those online, how many stay and watch."""
AWAY_S = 8.0
"""Longer than the hold, so that without storm mode friends are told; shorter than that of storms."""
PEERS = {"ejabberd": 17.7, "Nakama": 3.4}
"""Seconds for the same 900 people of the same graph on a quiet machine of this kind: all connections break, all
reconnect at once, until everybody knows every friend who is there. The better of two runs of ejabberd, the worse of
two of Nakama; `bench.peers` measures ejabberd again."""
BUDGET_S = 3.0


class Programme:
    """The scenes of one crowd, in one mode."""

    def __init__(self, stage: Stage, settings: Settings, storm_protection: bool) -> None:
        self._stage, self._settings, self._on = stage, settings, storm_protection
        self.told: list[Figures] = []

    async def arrive(self, people: Sequence[int]) -> None:
        """Everybody comes for the first time."""
        figures = await self._stage.act("everybody arrives", [], people)
        self._tell(figures, self._settings.debounce_online_seconds)

    async def at_once(self, people: Sequence[int]) -> None:
        """All say goodbye and are back at once: within any hold."""
        await self._stage.until_calm()
        self._tell(await self._stage.act("drop, back at once", people, people), 0.0)

    async def later(self, people: Sequence[int]) -> None:
        """All are back after longer than the hold."""
        what = f"drop, back after {AWAY_S:g} s"
        held = 0.0 if self._on else self._settings.debounce_online_seconds
        await self._stage.until_calm()
        self._tell(await self._stage.act(what, people, people, AWAY_S), held)

    async def for_good(self, people: Sequence[int]) -> None:
        """All leave for good; once every friend knows, they come back."""
        settings = self._settings
        held = (
            max(settings.debounce_leave_seconds, settings.storm_debounce_seconds)
            if self._on
            else settings.debounce_leave_seconds
        )
        await self._stage.until_calm()
        self._tell(await self._stage.act("leave for good", people, []), held)
        self._tell(
            await self._stage.act("come back after that", [], people), settings.debounce_online_seconds
        )

    def _tell(self, figures: Figures, hold_s: float) -> None:
        figures.hold_s = hold_s
        figures.window_s = STORM_BATCH_WINDOW_SECONDS if self._on and hold_s else 0.0
        self.told.append(figures)
        console.print(
            f"storm mode {'on' if self._on else 'off'}: {figures.what}: right after {figures.right_s:.1f} s, "
            f"{figures.aside_s:.1f} s aside, {figures.offlines:,} offlines heard, {figures.publishes:,} publishes"
            + (f", again: {figures.again}" if figures.again else "")
        )


async def crowd(folder: Path, people: Friends, large: bool) -> list[dict[str, Any]]:
    """One crowd with storm mode, and then, the service started again, without."""
    data = await peers_ours.prepare(folder, people)
    shards = 1000 if large else 100
    more = {"PRESENCE_SHARDS": str(shards), "MAX_CONNECTIONS": "20000"}
    rows: list[dict[str, Any]] = []
    async with (
        peers_ours.running(data, people, more) as ours,
        open_valkey(ours.made.engines.redis_url) as valkey,
    ):
        stage = Stage(ours, people, valkey, ShardMap(20, shards))
        for storm_protection in (True, False):
            programme = Programme(stage, Settings(), storm_protection)
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
                | asdict(one)
                for one in programme.told
            ]
    return rows


async def _scenes(programme: Programme, online: Sequence[int], large: bool) -> None:
    acting = random.Random(3).sample(online, round(len(online) * (1 - WATCH)))
    if large:
        await programme.later(acting)
        return
    await programme.at_once(online)
    await programme.later(acting)
    await programme.for_good(acting)


async def run(people: int, online: float, seed: int, small: int) -> list[dict[str, Any]]:
    """The crowd of the peers, then the large one."""
    rows: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory(prefix="fp-storm-") as name:
        folders = [Path(name) / one for one in ("small", "large")]
        for folder in folders:
            folder.mkdir()
        if small:
            console.print(f"{small:,} people, the friends that the peers were measured on")
            rows += await crowd(folders[0], peers_friends.make(small), large=False)
        if people:
            made = town(people, online, seed)
            console.print(f"{people:,} people, {len(made.online):,} of them online")
            rows += await crowd(folders[1], made, large=True)
    return rows


def main(
    people: Annotated[int, typer.Option(help="How many people; 0 leaves the large crowd out.")] = 20_000,
    online: Annotated[float, typer.Option(help="Share of them online.")] = 0.3,
    small: Annotated[int, typer.Option(help="The crowd beside the peers; 0 leaves it out.")] = 3000,
    seed: Annotated[int, typer.Option(help="Of the population.")] = 1,
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
    """All scenes, storm mode on and off one under the other."""
    columns = (
        "online",
        "scene",
        "storm mode",
        "views right (s)",
        "hold + window (s)",
        "aside (s)",
        "offlines heard",
    )
    more = ("syncs heard", "publishes", "flags", "peak entries", "wrong views", "degraded")
    made = Table(*columns, *more)
    for row in sorted(rows, key=lambda one: (one["online"], one["what"], not one["stormMode"])):
        made.add_row(
            f"{row['online']:,}", row["what"], "on" if row["stormMode"] else "off", f"{row['right_s']:.2f}",
            f"{row['hold_s']:g} + {row['window_s']:g}", f"{row['asideSeconds']:.2f}", f"{row['offlines']:,}",
            f"{row['syncs']:,}", f"{row['publishes']:,}", f"{row['flags']:,}", f"{row['peak_entries']:,}",
            str(row["wrong"]), row["degraded"] or "no",
        )  # fmt: skip
    return made


def drawn(rows: Sequence[dict[str, Any]]) -> str:
    """Seconds until every view was right, hold and window aside; the peers beside the scene that is theirs."""
    groups: dict[str, dict[str, float]] = {}
    for row in rows:
        group = groups.setdefault(f"{row['online']:,}: {row['what']}", {})
        group["storm mode" if row["stormMode"] else "without"] = max(0.01, row["asideSeconds"])
        if row["what"] == "drop, back at once":
            group |= PEERS
    return bars.bars("Until every view is right, hold and window aside", "s", list(groups.items()))


def write(
    out: Path, rows: Sequence[dict[str, Any]], before: dict[str, object], seconds: float, seed: int
) -> None:
    """The figures, and the chart beside them."""
    mine = [row["asideSeconds"] for row in rows if row["what"] == "drop, back at once"]
    document = {
        "command": " ".join(["python -m bench.system.storm", *sys.argv[1:]]),
        "date": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "machine": before,
        "seed": seed,
        "seconds": round(seconds),
        "budget": {
            "what": "drop, back at once, 900 people: views right, hold and window aside",
            "atMost": BUDGET_S,
        },
        "withinBudget": bool(mine) and max(mine) <= BUDGET_S,
        "peersSeconds": PEERS,
        "notes": [
            "Hold 5 s, window 0 s when calm; in storm mode a leave is held 30 s at most, the window is 3 s at least.",
            "Shards are so many that none is in PubNub's interval mode, which adds up to 10 s.",
            f"One in {round(1 / WATCH)} watches, but in 'drop, back at once', where everybody drops.",
        ],
        "results": list(rows),
    }
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")
    out.with_suffix(".svg").write_text(drawn(rows), encoding="utf-8")


if __name__ == "__main__":
    typer.run(main)
