"""The benchmark of the pure variant: shares of one cell, and a chart that claims no more than was measured."""

from __future__ import annotations

import json
import re
import shutil
import sys
from pathlib import Path

import pytest

from bench.charts.heatmap import Grid, heatmaps
from bench.system import pure_variant
from bench.system.pure_variant import CHANGES, FORWARDED, FRIENDS, cell, chart

SAME = {"online": 0.3, "seconds": 10, "hold": 5, "interval": 1, "late": 10, "batch": 10}
NODE = shutil.which("node", path=f"{Path(sys.executable).parent}:/usr/local/bin:/usr/bin")


@pytest.mark.skipif(NODE is None, reason="node comes with the extra 'local'")
async def test_a_cell_counts_notifications_that_are_late_cut_off_or_refused() -> None:
    """All arrive at 50 friends and 4 changes a second; half at a page of 100 of 200 friends; no 11th publish."""
    assert (await cell(friends=50, changes=4, **SAME))["told"] == 1
    assert (await cell(friends=200, changes=4, **SAME))["told"] == pytest.approx(0.5)
    refused = await cell(friends=100, changes=4, **SAME | {"batch": 20})
    assert refused["told"] == pytest.approx(2 / 3)
    assert list(refused["reasons"]) == ["more than 10 publish calls in one execution"]
    busy = await cell(friends=20, changes=40, **SAME | {"late": 0})
    assert busy["joins"] == 1
    assert busy["leaves"] < 0.5


def test_the_cells_of_the_bridge_end_at_its_measured_rate() -> None:
    """Higher rates are shown as not run."""
    grid = [{"friends": f, "changes": c, "told": 0.9999} for f in FRIENDS for c in CHANGES]
    forward = [{"changes": c, "forwarded": 1.0} for c in FORWARDED]
    drawn = chart({"grid": grid, "afterPresence": forward, "bridgeSustains": 60.0})
    assert drawn.count("not run") == sum(changes > 60 for changes in CHANGES)
    assert drawn.count(">99.9 %<") == len(grid), "what is not all is not rounded up to it"


def test_a_grid_without_a_figure_is_drawn_empty() -> None:
    """A cell that was not measured has no share and no colour of one."""
    drawn = heatmaps("t", "a", [Grid("g", ["r"], ["c", "d"], {(0, 0): 1.0})], "n")
    assert re.findall(r">([^<]*%|not run)<", drawn) == ["100 %", "not run"]


def test_the_figure_of_the_bridge_is_found_by_its_name() -> None:
    """Otherwise the chart would lose its row silently."""
    sustained = pure_variant.bridge_sustains()
    assert sustained
    assert json.loads(pure_variant.RESULT.read_text("utf-8"))["bridgeSustains"] > 100
