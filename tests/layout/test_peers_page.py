"""What is said of peers is what was measured beside them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from bench.peers import show

FIGURES = Path("docs/benchmarks/peers.json")


@pytest.mark.skipif(not FIGURES.exists(), reason="make bench-peers was not run")
def test_the_pages_say_what_the_figures_say() -> None:
    """Both are written by the run; nobody improves a figure by hand."""
    kept = json.loads(FIGURES.read_text("utf-8"))
    comparison = Path("docs/comparison.md").read_text("utf-8")
    assert show.compared(comparison, kept["parts"]) == comparison
    assert show.page(kept) == FIGURES.with_suffix(".md").read_text("utf-8")
