"""The scaling benchmark separates figures that grow from figures that stay flat."""

from __future__ import annotations

import pytest

from bench.bridge.growth import Figure, PopulationFigures, results
from bench.budgets import BUDGETS


def grown(users: int, sync_ms: float, committed: float) -> PopulationFigures:
    """A population with two figures that must be flat and one that need not."""
    figures = [
        Figure("store", users / 10, "MiB", flat=False),
        Figure("sync of a random user, p50", sync_ms, "ms"),
        Figure("commit, then read", committed, "users/s"),
    ]
    return PopulationFigures(users, users * 375, {"heapMiB": 1, "pageCacheMiB": 1}, figures)


def test_a_longer_time_and_a_lower_rate_are_higher_costs() -> None:
    """Both as a multiple of the smallest population's."""
    rows = {row["what"]: row for row in results([grown(20_000, 2.0, 2000.0), grown(500_000, 3.0, 1600.0)])}
    assert rows["500,000 people: sync of a random user, p50"]["times"] == pytest.approx(1.5)
    assert rows["500,000 people: commit, then read"]["times"] == pytest.approx(1.25)
    assert rows["20,000 people: commit, then read"]["times"] == 1


def test_a_figure_that_may_grow_has_no_ratio() -> None:
    rows = results([grown(20_000, 2.0, 2000.0), grown(100_000, 2.0, 2000.0)])
    assert all("times" not in row for row in rows if row["what"].endswith("store"))


def test_the_page_of_figures_finds_its_budget_in_the_rows() -> None:
    """By its own name and by the name that files of earlier runs have."""
    (budget,) = (one for one in BUDGETS if one.key == "commit-large")
    assert budget.find({"results": results([grown(500_000, 3.0, 1600.0)])}) == 1600
    assert budget.find({"results": [{"what": "500,000 people: settle, then read", "value": 1500}]}) == 1500
