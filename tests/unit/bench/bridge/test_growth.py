"""Whether what grows is told from what stays flat."""

from __future__ import annotations

import pytest

from bench.bridge.growth import Figure, Grown, results
from bench.budgets import row


def grown(people: int, sync_ms: float, settled: float) -> Grown:
    """A population with two figures that must be flat and one that need not."""
    figures = [
        Figure("store", people / 10, "MiB", flat=False),
        Figure("sync of a random user, p50", sync_ms, "ms"),
        Figure("settle, then read", settled, "users/s"),
    ]
    return Grown(people, people * 375, {"heapMiB": 1, "pageCacheMiB": 1}, figures)


def test_a_time_is_dearer_where_it_is_longer_and_a_rate_where_it_is_lower() -> None:
    """Both as a multiple of the smallest population's."""
    rows = {row["what"]: row for row in results([grown(20_000, 2.0, 2000.0), grown(500_000, 3.0, 1600.0)])}
    assert rows["500,000 people: sync of a random user, p50"]["times"] == pytest.approx(1.5)
    assert rows["500,000 people: settle, then read"]["times"] == pytest.approx(1.25)
    assert rows["20,000 people: settle, then read"]["times"] == 1


def test_what_may_grow_has_no_verdict() -> None:
    """A larger store is larger."""
    rows = results([grown(20_000, 2.0, 2000.0), grown(100_000, 2.0, 2000.0)])
    assert all("times" not in row for row in rows if row["what"].endswith("store"))


def test_the_page_of_figures_finds_its_budget_in_the_rows() -> None:
    """By the population's size and the words of the figure."""
    found = row("settle.* 500,000|500,000.* settle")({"results": results([grown(500_000, 3.0, 1600.0)])})
    assert found == 1600
